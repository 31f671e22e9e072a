package search

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/go-json-experiment/json"
	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/signer"
	"github.com/opensearch-project/opensearch-go/v4/signer/awsv2"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// connectOpenSearch makes the client. It neither retries nor waits for ever by itself: Add and the
// callers know what may be sent again, and when.
func connectOpenSearch(ctx context.Context, cfg OpenSearchConfig) (*opensearch.Client, string, error) {
	if cfg.URL == "" {
		return nil, "", fault.New(fault.Invalid, "opensearch_url_missing", "OPENSEARCH_URL is not set: it says where OpenSearch is, as in https://host:9200")
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, "", fault.New(fault.Invalid, "opensearch_url_invalid", "OPENSEARCH_URL is no address of OpenSearch: write http://host:9200 or https://host:9200") // the URL itself may hold a password
	}
	username, password := cfg.Username, cfg.Password.Reveal()
	if u.User != nil && username == "" {
		username = u.User.Username()
		password, _ = u.User.Password()
	}
	u.User = nil
	at := strings.TrimRight(u.String(), "/")
	var sign signer.Signer
	switch {
	case cfg.AWSSigV4 && username != "":
		return nil, "", fault.New(fault.Invalid, "opensearch_credentials", "OPENSEARCH_AWS_SIGV4 and OPENSEARCH_USERNAME exclude each other: unset one of them")
	case cfg.AWSSigV4:
		if sign, err = awsSigner(ctx, u.Hostname(), cfg.Region); err != nil {
			return nil, "", err
		}
		username, password = "", ""
	case (username == "") != (password == ""):
		return nil, "", fault.New(fault.Invalid, "opensearch_credentials", "OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD belong together: set both or none")
	}
	client, err := opensearch.NewClient(opensearch.Config{
		Addresses: []string{at}, Username: username, Password: password, Signer: sign, DisableRetry: true,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			IdleConnTimeout:     50 * time.Second, // below what load balancers allow
			MaxIdleConnsPerHost: 128,
			DisableCompression:  true, // answers are small; to compress them costs the cluster more than their way
			WriteBufferSize:     64 << 10,
			ReadBufferSize:      32 << 10,
		},
	})
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "opensearch_url_invalid", "OPENSEARCH_URL is no address of OpenSearch: write http://host:9200 or https://host:9200")
	}
	return client, at, nil
}

// awsSigner signs for a domain of the AWS service.
func awsSigner(ctx context.Context, host, region string) (signer.Signer, error) {
	if strings.HasSuffix(host, ".aoss.amazonaws.com") {
		return nil, fault.New(fault.Invalid, "opensearch_serverless", "OpenSearch Serverless can't hold the index, it takes no ids of ours: use a domain of the OpenSearch Service")
	}
	if labels := strings.Split(host, "."); region == "" && len(labels) > 4 && strings.Contains(host, ".es.amazonaws.com") {
		region = labels[len(labels)-4] // name.region.es.amazonaws.com
	}
	var options []func(*config.LoadOptions) error
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	aws, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Code: "opensearch_credentials", Detail: "the AWS settings of the environment can't be read", Err: err}
	}
	if aws.Region == "" {
		return nil, fault.New(fault.Invalid, "opensearch_region_missing", "OPENSEARCH_AWS_SIGV4 needs a region: set AWS_REGION")
	}
	s, err := awsv2.NewSigner(aws)
	if err != nil {
		return nil, fault.As(fault.Invalid, "opensearch_credentials", err)
	}
	return awsSigning{s}, nil
}

// awsSigning tells what goes wrong before a request is sent from what goes wrong on its way.
type awsSigning struct{ signer.Signer }

// SignRequest signs r.
func (s awsSigning) SignRequest(r *http.Request) error {
	if err := s.Signer.SignRequest(r); err != nil {
		return fmt.Errorf("%w: %w", errSigning, err)
	}
	return nil
}

// The versions that the index is tested with.
const (
	oldestMajor, oldestMinor = 2, 19
	newestMajor              = 3
)

// check asks who answers.
func (o *OpenSearch) check(ctx context.Context) error {
	a, err := o.call(ctx, request{method: "GET", path: "/"})
	if err != nil || a.status != http.StatusOK {
		return o.connectFault(a, err)
	}
	var who struct {
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
		Tagline string `json:"tagline"`
	}
	if json.Unmarshal(a.body, &who) != nil || who.Version.Number == "" {
		return fault.New(fault.Invalid, "opensearch_not_found", "what answers at "+o.at+" is no OpenSearch: correct OPENSEARCH_URL")
	}
	if v := who.Version; v.Distribution != "opensearch" {
		if strings.Contains(who.Tagline, "OpenSearch") {
			return fault.New(fault.Invalid, "opensearch_version", fmt.Sprintf("OpenSearch at %s calls itself version %s: switch its setting compatibility.override_main_response_version off", o.at, v.Number))
		}
		return fault.New(fault.Invalid, "opensearch_version", fmt.Sprintf("what answers at %s is Elasticsearch %s: OpenSearch %d.%d or newer is needed", o.at, v.Number, oldestMajor, oldestMinor))
	}
	major, minor, _, err := opensearch.ParseVersion(who.Version.Number)
	switch {
	case err != nil || major < oldestMajor || major == oldestMajor && minor < oldestMinor:
		return fault.New(fault.Invalid, "opensearch_version", fmt.Sprintf("OpenSearch at %s is version %s: upgrade it to %d.%d or newer", o.at, who.Version.Number, oldestMajor, oldestMinor))
	case major > newestMajor:
		return fault.New(fault.Invalid, "opensearch_version", fmt.Sprintf("OpenSearch at %s is version %s, this version of Ocelot knows %d.%d to %d.x: upgrade Ocelot", o.at, who.Version.Number, oldestMajor, oldestMinor, newestMajor))
	}
	o.warnOfSettings(ctx)
	return nil
}

// warnOfSettings looks for what makes searches fail later. Who may not read the settings is not told.
func (o *OpenSearch) warnOfSettings(ctx context.Context) {
	const expensive = "search.allow_expensive_queries"
	a, err := o.call(ctx, request{method: "GET", path: "/_cluster/settings", query: "flat_settings=true&include_defaults=true&filter_path=*." + strings.ReplaceAll(expensive, ".", `%5C.`)})
	if err != nil || a.status != http.StatusOK {
		return
	}
	var settings map[string]map[string]string
	if json.Unmarshal(a.body, &settings) != nil {
		return
	}
	for _, source := range []string{"transient", "persistent", "defaults"} {
		if v, is := settings[source][expensive]; is {
			if v == "false" {
				o.log.Warn("OpenSearch has "+expensive+" off: searches for beginnings of words and values will fail; set it to true", zap.String("url", o.at))
			}
			return
		}
	}
}

// connectFault is what a failed first call says, in one line for a terminal.
func (o *OpenSearch) connectFault(a answer, err error) error {
	var untrusted x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case err == nil && (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden):
		what := "refuses the user or the password: correct OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD"
		if o.cfg.AWSSigV4 {
			what = "refuses the AWS credentials or their signature: correct the credentials, AWS_REGION and the access policy of the domain"
		}
		return fault.New(fault.Invalid, "opensearch_credentials", "OpenSearch at "+o.at+" "+what)
	case err == nil && a.status < 500 && a.status != http.StatusTooManyRequests && a.status != http.StatusRequestTimeout:
		return fault.New(fault.Invalid, "opensearch_not_found", fmt.Sprintf("what answers at %s is no OpenSearch (HTTP %d): correct OPENSEARCH_URL", o.at, a.status))
	case errors.As(err, &untrusted), errors.As(err, &name), errors.As(err, &invalid):
		return fault.New(fault.Invalid, "opensearch_certificate", "the certificate of OpenSearch at "+o.at+" is not trusted: name its authority in SSL_CERT_FILE, and the host as in the certificate in OPENSEARCH_URL")
	case errors.As(err, &record):
		return fault.New(fault.Invalid, "opensearch_url_invalid", "what answers at "+o.at+" speaks no TLS: write http:// in OPENSEARCH_URL")
	case errors.Is(err, errSigning):
		return &fault.Error{Kind: fault.Invalid, Code: "opensearch_credentials", Detail: "no AWS credentials to sign requests to " + o.at + " with: give the process a role or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"}
	case err == nil:
		return &fault.Error{Kind: fault.Unavailable, Code: "opensearch_unreachable", Detail: fmt.Sprintf("OpenSearch at %s is not ready (HTTP %d)", o.at, a.status)}
	}
	return &fault.Error{Kind: fault.Unavailable, Code: "opensearch_unreachable", Detail: "no OpenSearch answers at " + o.at + ": start it, or correct OPENSEARCH_URL"}
}
