package queue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// sqsFault turns an error of the SDK into a fault, by its code; by the HTTP status where there is none.
// Anything that is not an answer of the server (no connection, a timeout, an answer cut short) is
// Unavailable: what became of the call is unknown.
func sqsFault(err error, doing string) error {
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		f := sqsCode(api, status(err))
		f.Err = api
		return fault.Wrap(f, doing)
	}
	switch code := status(err); {
	case errors.Is(err, context.Canceled):
		return fault.Wrap(fault.As(fault.Unavailable, "canceled", err), doing)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(&fault.Error{Kind: fault.Unavailable, Code: "sqs_timeout", Detail: "the queue did not answer in time", Err: cause(err)}, doing)
	case code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout:
		return fault.Wrap(&fault.Error{Kind: fault.Invalid, Code: "sqs_refused", Detail: "what answers is no SQS", Err: fmt.Errorf("HTTP %d", code)}, doing)
	case invalidCall(err):
		return fault.Wrap(fault.As(fault.Internal, "sqs_call", err), doing)
	}
	return fault.Wrap(&fault.Error{Kind: fault.Unavailable, Code: "sqs_unreachable", Detail: "the queue does not answer", Err: cause(err)}, doing)
}

func invalidCall(err error) bool {
	_, params := errors.AsType[smithy.InvalidParamsError](err)
	_, serial := errors.AsType[*smithy.SerializationError](err)
	return params || serial
}

// sqsCode is what an error code of SQS, of its keys or of the credentials means.
func sqsCode(api smithy.APIError, status int) *fault.Error {
	code := plainCode(api.ErrorCode())
	switch code {
	case "QueueDoesNotExist", "NonExistentQueue", "ResourceNotFoundException", "QueueDeletedRecently", "InvalidAddress":
		return fault.New(fault.Invalid, "sqs_no_queue", "the queue does not exist")
	case "AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
		"InvalidSignatureException", "InvalidSecurity", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"IncompleteSignature", "InvalidAccessKeyId", "AuthFailure", "OptInRequired", "NotAuthorized":
		return fault.New(fault.Invalid, "sqs_denied", "the credentials do not allow this call")
	case "KmsAccessDenied", "KmsDisabled", "KmsInvalidKeyUsage", "KmsInvalidState", "KmsNotFound", "KmsOptInRequired":
		return fault.New(fault.Invalid, "sqs_key", "the queue's encryption key can't be used")
	case "RequestThrottled", "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException",
		"RequestLimitExceeded", "SlowDown", "KmsThrottled":
		return &fault.Error{Kind: fault.Unavailable, Code: "sqs_throttled", Detail: "the queue takes no more calls at the moment", RetryAfter: time.Second}
	case "OverLimit":
		return &fault.Error{Kind: fault.Limited, Code: "sqs_in_flight", Detail: "too many messages are held at the same time", RetryAfter: 5 * time.Second}
	case "ReceiptHandleIsInvalid", "MessageNotInflight":
		return fault.New(fault.NotFound, "delivery_lost", "the message was deleted or handed out again")
	case "BatchRequestTooLong":
		return fault.New(fault.TooLarge, "message_too_large", "the messages are larger than the queue takes")
	case "InvalidMessageContents":
		return fault.New(fault.Invalid, "message_characters", "the body has characters that the queue does not take")
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired", "RequestTimeTooSkewed", "TokenRefreshRequired":
		return fault.New(fault.Unavailable, "sqs_credentials_expired", "the credentials have expired, or the clock is wrong")
	case "InternalError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout":
		return &fault.Error{Kind: fault.Unavailable, Code: "sqs_failed", Detail: "the queue failed", RetryAfter: time.Second}
	}
	client := api.ErrorFault() == smithy.FaultClient || status >= 400 && status < 500
	if client && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout {
		return fault.New(fault.Invalid, "sqs_refused", "the queue refused the call")
	}
	return &fault.Error{Kind: fault.Unavailable, Code: "sqs_failed", Detail: "the queue failed", RetryAfter: time.Second}
}

// plainCode is a code without the namespace that some servers put before it.
func plainCode(code string) string {
	if i := strings.LastIndexAny(code, "#"); i >= 0 {
		code = code[i+1:]
	}
	return strings.TrimPrefix(code, "AWS.SimpleQueueService.")
}

func status(err error) int {
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return r.HTTPStatusCode()
	}
	return 0
}

// cause leaves out what the SDK says about its own steps.
func cause(err error) error {
	if send, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return send.Err
	}
	return err
}

// canceled says that the caller stopped waiting.
func canceled(err error) error { return fault.As(fault.Unavailable, "canceled", err) }
