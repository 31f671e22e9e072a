package httpapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// How many views there may be. Of those that are made in the same moment more than necessary may be refused, never fewer.
const (
	maxOwnViews    = 200 // of an owner in a tenant
	maxTenantViews = 500
	viewPage       = 500 // read at a time
)

var (
	errNoView       = fault.New(fault.NotFound, "not_found", "there is no such view")
	errSharedView   = fault.New(fault.Forbidden, "insufficient_role", "only an admin of the tenant makes, changes and deletes what is shared")
	errNobodysView  = fault.New(fault.Forbidden, "subject_required", "a view of one's own needs credentials that say whose they are; these name no subject")
	errManyOwn      = fault.New(fault.Conflict, "too_many_views", "you have 200 views in this tenant; delete some that are not used")
	errManyInTenant = fault.New(fault.Conflict, "too_many_views", "the tenant has 500 views; delete some that are not used")
)

// view is a saved search of a tenant, as callers see it and as it is kept: of who made it alone, or for all.
type view struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Search    string    `json:"search"` // the part of a search's URL after its question mark
	Shared    bool      `json:"shared"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

func readView(d document.Document) (view, error) {
	var v view
	if err := json.Unmarshal(d.Body, &v); err != nil {
		return v, fault.Wrap(err, "read the view "+d.ID)
	}
	return v, nil
}

// owns says whether a view is the caller's own. Callers without a subject are nobody, not all the same one.
func owns(k *call, v view) bool { return v.CreatedBy != "" && v.CreatedBy == k.principal.Owner() }

// noted is a view as it stands in the tenant's log, which others read too: what is somebody's own stays that.
func (v view) noted() any {
	if v.Shared {
		return v
	}
	return struct {
		ID        string `json:"id"`
		Shared    bool   `json:"shared"`
		CreatedBy string `json:"created_by"`
	}{v.ID, v.Shared, v.CreatedBy}
}

// views are all views of the request's tenant.
func (s *Server) views(k *call) ([]view, error) {
	var all []view
	for after := ""; ; {
		page, err := s.reading.Store.Documents(k.Request.Context(), document.View, k.tenant.ID(), after, viewPage)
		if err != nil {
			return nil, fault.Wrap(err, "list views")
		}
		for _, d := range page {
			v, err := readView(d)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		if len(page) < viewPage {
			return all, nil
		}
		after = page[len(page)-1].ID
	}
}

// listViews answers the caller's own views and those that are shared, by name.
func (s *Server) listViews(k *call) error {
	all, err := s.views(k)
	if err != nil {
		return err
	}
	seen := []view{}
	for _, v := range all {
		if v.Shared || owns(k, v) {
			seen = append(seen, v)
		}
	}
	slices.SortFunc(seen, func(a, b view) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return replyData(k, http.StatusOK, seen)
}

func (s *Server) createView(k *call) error {
	var sent viewRequest
	if err := s.readSmall(k, &sent); err != nil {
		return err
	}
	v := view{ID: rand.Text(), CreatedBy: k.principal.Owner(), CreatedAt: time.Now().UTC().Truncate(time.Millisecond)}
	if err := sent.put(k, &v, true); err != nil {
		return err
	}
	if err := s.roomForView(k, 1); err != nil {
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := s.reading.Store.CreateDocument(k.Request.Context(), document.Document{Kind: document.View, ID: v.ID, TenantID: k.tenant.ID(), Body: body}); err != nil {
		return fault.Wrap(err, "keep a view")
	}
	if err := s.roomForView(k, 0); err != nil { // others came in between: whoever sees too many takes its own back
		if gone := s.reading.Store.DeleteDocument(context.WithoutCancel(k.Request.Context()), document.View, v.ID); gone != nil && fault.KindOf(gone) != fault.NotFound {
			return fault.Wrap(gone, "take a view back")
		}
		return err
	}
	if err := s.changed(k, k.tenant.ID(), audit.Create, "view", v.ID, nil, v.noted()); err != nil {
		return err
	}
	return replyData(k, http.StatusCreated, v)
}

// roomForView refuses where so many more views would be more than the caller or the tenant may have.
func (s *Server) roomForView(k *call, more int) error {
	all, err := s.views(k)
	if err != nil {
		return err
	}
	own := 0
	for _, v := range all {
		if v.CreatedBy == k.principal.Owner() {
			own++
		}
	}
	switch {
	case own+more > maxOwnViews:
		return errManyOwn
	case len(all)+more > maxTenantViews:
		return errManyInTenant
	}
	return nil
}

// changeable is the view that a request names, where the caller may change it. One that is somebody else's own, or
// another tenant's, is as absent as one that is not there.
func (s *Server) changeable(k *call) (document.Document, view, error) {
	d, err := s.reading.Store.Document(k.Request.Context(), document.View, k.Param("id"))
	switch {
	case err != nil:
		return d, view{}, viewFault(err)
	case d.TenantID != k.tenant.ID():
		return d, view{}, errNoView
	}
	v, err := readView(d)
	switch {
	case err != nil:
		return d, v, err
	case v.Shared && !k.principal.Can(auth.Admin):
		return d, v, errSharedView
	case !v.Shared && !owns(k, v):
		return d, v, errNoView
	}
	return d, v, nil
}

func viewFault(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return errNoView
	}
	return fault.Wrap(err, "read or change a view")
}

// changeView changes what was sent of a view. Where somebody else came between, it is made again on what there is then.
func (s *Server) changeView(k *call) error {
	if _, _, err := s.changeable(k); err != nil { // before the body is read
		return err
	}
	var sent viewRequest
	if err := s.readSmall(k, &sent); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		d, was, err := s.changeable(k)
		if err != nil {
			return err
		}
		is := was
		if err := sent.put(k, &is, false); err != nil {
			return err
		}
		if is == was {
			return replyData(k, http.StatusOK, is)
		}
		if d.Body, err = json.Marshal(is); err != nil {
			return err
		}
		_, err = s.reading.Store.ReplaceDocument(k.Request.Context(), d)
		switch {
		case err == nil:
			if err := s.changed(k, k.tenant.ID(), audit.Update, "view", is.ID, was.noted(), is.noted()); err != nil {
				return err
			}
			return replyData(k, http.StatusOK, is)
		case fault.KindOf(err) != fault.Conflict || attempt == changeAttempts:
			return viewFault(err)
		}
	}
}

func (s *Server) deleteView(k *call) error {
	_, v, err := s.changeable(k)
	if err != nil {
		return err
	}
	if err := s.reading.Store.DeleteDocument(k.Request.Context(), document.View, v.ID); err != nil {
		return viewFault(err)
	}
	if err := s.changed(k, k.tenant.ID(), audit.Delete, "view", v.ID, v.noted(), nil); err != nil {
		return err
	}
	return replyData(k, http.StatusOK, ended{"deleted"})
}
