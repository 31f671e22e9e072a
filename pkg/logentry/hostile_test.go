package logentry

type hostileCase struct {
	name string
	form Form
	body string
}

var hostile = []hostileCase{}
