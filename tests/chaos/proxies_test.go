//go:build e2e

package chaos

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/ocelot-log/ocelot/tests/service"
)

// links are the connections of the deployed system, each through a proxy of its own.
var links = []string{"api-queue", "api-store", "api-index", "worker-queue", "worker-store", "worker-index"}

// toxics are what happens to a link; the last one takes it away.
var toxics = []string{
	`{"type":"latency","attributes":{"latency":300,"jitter":200}}`,
	`{"type":"bandwidth","stream":"upstream","attributes":{"rate":8}}`,
	`{"type":"reset_peer","attributes":{"timeout":0}}`,
	`{"type":"timeout","attributes":{"timeout":0}}`,
	`{"type":"limit_data","attributes":{"bytes":100}}`,
	`{"type":"limit_data","stream":"upstream","attributes":{"bytes":3000}}`,
	"down",
}

// TestTheNetworkIsCutAndSlowedAndNothingIsLost does to each link between API, workers and servers each of the
// toxics under load, one of the API and one of the workers at a time, in an order that goes by the seed.
func TestTheNetworkIsCutAndSlowedAndNothingIsLost(t *testing.T) {
	random := seeded(t)
	servers := service.NewServers(t)
	proxies := map[string]*toxiproxy.Proxy{}
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics speak past the logger that they are given
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	server.Metrics.ProxyMetrics = collectors.NewProxyMetricCollectors()
	for _, name := range links {
		upstream := map[string]string{"queue": servers.SQS, "store": servers.MongoDB, "index": servers.OpenSearch}[name[strings.IndexByte(name, '-')+1:]]
		u, err := url.Parse(upstream)
		if err != nil {
			t.Fatal(err)
		}
		p := toxiproxy.NewProxy(server, name, "127.0.0.1:0", u.Host)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Stop)
		proxies[name] = p
	}
	env := func(process string) []string {
		at := func(name string) string { return proxies[process+"-"+name].Listen }
		// Without directConnection the driver goes to the address that the replica set calls itself, past the proxy.
		return []string{"SQS_ENDPOINT_URL=http://" + at("queue"), "MONGODB_URI=mongodb://" + at("store") + "/?directConnection=true",
			"OPENSEARCH_URL=http://" + at("index")}
	}
	s := service.DeployApart(t, servers, 2, env("api"), env("worker"))
	l := startLoad(t, s, 800)
	recorded(t, servers, 1600)
	seen := watchSearches(t, service.Client{URL: s.URL, Token: s.Token("default", "admin")})

	type fault struct{ link, toxic string }
	var faults []fault
	for _, toxic := range toxics {
		for _, link := range links {
			faults = append(faults, fault{link, toxic})
		}
	}
	random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	var running sync.WaitGroup
	for _, process := range []string{"api-", "worker-"} {
		running.Go(func() {
			for _, f := range faults {
				if strings.HasPrefix(f.link, process) {
					suffer(t, proxies[f.link], f.toxic)
				}
			}
		})
	}
	running.Wait()
	for _, name := range links { // bytes are counted when a connection ends
		for _, direction := range []string{"upstream", "downstream"} {
			p := proxies[name]
			if n := testutil.ToFloat64(server.Metrics.ProxyMetrics.ReceivedBytesTotal.WithLabelValues(direction, name, p.Listen, p.Upstream)); n == 0 {
				t.Errorf("%s: no connection was broken that had carried anything %s", name, direction)
			}
		}
	}
	recorded(t, servers, 1600)

	sources := seen()
	t.Logf("searches: %v", sources)
	if sources["record"] == 0 {
		t.Errorf("searches were answered %v; the API noticed nothing of what happened to its link to the index", sources)
	}
	report := l.stop()
	if report.Status["503"] == 0 {
		t.Error("the load noticed nothing of what happened to the API's link to the queue")
	}
	compare(t, servers, report)
}

// suffer does a toxic to a link for as long as a few hundred requests of the load take.
func suffer(t *testing.T, p *toxiproxy.Proxy, toxic string) {
	if toxic == "down" {
		p.Stop()
	} else if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Errorf("%s: %v", toxic, err)
		return
	}
	<-time.After(800 * time.Millisecond)
	if toxic == "down" {
		if err := p.Start(); err != nil {
			t.Error(err)
		}
		return
	}
	p.Toxics.ResetToxics(context.Background())
}

// watchSearches searches all the time, until what it returns is called, which says how often the answer came from
// index and record, and how often there was none.
func watchSearches(t *testing.T, c service.Client) (stop func() map[string]int) {
	ctx, cancel := context.WithCancel(t.Context())
	seen := map[string]int{}
	var running sync.WaitGroup
	running.Go(func() {
		pause := time.NewTicker(20 * time.Millisecond)
		defer pause.Stop()
		for ctx.Err() == nil {
			p, err := c.Search(ctx, url.Values{"limit": {"5"}})
			switch {
			case err == nil:
				seen[p.Meta.Source]++
			case ctx.Err() == nil:
				seen["failed"]++
			}
			<-pause.C
		}
	})
	return func() map[string]int { cancel(); running.Wait(); return seen }
}
