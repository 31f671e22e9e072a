package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/ocelot-log/ocelot/pkg/client"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func connect() *client.Client {
	c, err := client.New(client.Config{URL: os.Getenv("OCELOT_URL"), Token: os.Getenv("OCELOT_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// Audit events are sent, and each is known to be kept before the program ends.
func ExampleProducer() {
	p := connect().StartProducer(client.ProducerConfig{
		OnError: func(b client.Batch, err error) { log.Printf("%d entries are not kept: %v", len(b.Entries), err) },
	})
	err := p.Send(context.Background(), logentry.Entry{Service: "billing", Action: "CREATE", ResourceType: "invoice", ResourceID: "42",
		UserID: "ada", Metadata: []byte(`{"amount":19.90}`)})
	if err != nil {
		log.Print(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		log.Print(err)
	}
}

// The program's log goes to Ocelot, with the service in every entry.
func ExampleNewHandler() {
	p := connect().StartProducer(client.ProducerConfig{})
	defer func() { _ = p.Close(context.Background()) }()
	slog.SetDefault(slog.New(client.NewHandler(p, &client.HandlerOptions{Base: logentry.Entry{Service: "shop"}})))

	slog.Warn("card declined", "order", 42, slog.Group("card", "brand", "visa")) // metadata.card.brand:visa finds it
}

func ExampleClient_Search() {
	q := client.Query{Q: `service:billing severity:>=ERROR "card declined"`, From: time.Now().Add(-24 * time.Hour)}
	for e, err := range connect().Search(context.Background(), q) {
		if err != nil {
			var p *client.Problem
			if errors.As(err, &p) {
				log.Print(p.Code, p.Errors) // query faults have their column
			}
			return
		}
		fmt.Println(e.Timestamp, e.Message)
	}
}

// What was looked for is shown in brackets.
func ExampleClient_SearchHits() {
	for hit, err := range connect().SearchHits(context.Background(), client.Query{Q: `declined card*`}) {
		if err != nil {
			log.Print(err)
			return
		}
		for _, h := range hit.Highlights {
			shown, from := "", 0
			for _, r := range h.Ranges {
				shown += h.Text[from:r[0]] + "[" + h.Text[r[0]:r[1]] + "]"
				from = r[1]
			}
			fmt.Println(hit.Entry.Timestamp, h.Pointer, shown+h.Text[from:])
		}
	}
}

func ExampleClient_Tail() {
	for e, err := range connect().Tail(context.Background(), client.Query{Q: "severity:CRITICAL"}) {
		switch {
		case err != nil:
			log.Print(err)
		case e.Entry != nil:
			fmt.Println(e.Entry.Timestamp, e.Entry.Message)
		default:
			fmt.Println("some were left out here: search for them")
		}
	}
}
