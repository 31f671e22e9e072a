package store

import "context"

// ahead lets produce make the next piece while take works on the one before, so that there are two at once. It returns
// when both are done, with the first error; when take fails, the context of produce ends.
func ahead[T any](ctx context.Context, produce func(ctx context.Context, hand func(T) error) error, take func(T) error) error {
	ctx, stop := context.WithCancel(ctx)
	pieces := make(chan T)
	var failed error // of produce; read once pieces is closed
	go func() {
		defer close(pieces)
		failed = produce(ctx, func(piece T) error {
			select {
			case pieces <- piece:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	defer func() {
		stop()
		for range pieces {
		}
	}()
	for piece := range pieces {
		if err := take(piece); err != nil {
			return err
		}
	}
	return failed
}
