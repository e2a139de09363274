// Speaks to a server with github.com/go-zeromq/zmq4, an implementation of ZMTP in Go, and prints a
// line for each check: its name and "ok", or what went wrong.
//
//	interop ENDPOINT
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/vmihailenco/msgpack/v5"
)

const (
	requestKind  = 0
	responseKind = 1

	timeout   = 30 * time.Second
	bigBytes  = 1 << 20
	pipelined = 1000
)

// response is [1, msgid, error, result].
type response struct {
	_msgpack struct{} `msgpack:",as_array"`
	Kind     int
	Msgid    uint32
	Error    map[string]any
	Result   result
}

// result holds the fields that are looked at here, of any method. Values come back byte for byte.
type result struct {
	Status string             `msgpack:"status"`
	Value  msgpack.RawMessage `msgpack:"value"`
}

func encode(value any) msgpack.RawMessage {
	encoded, err := msgpack.Marshal(value)
	if err != nil {
		panic(err) // Everything that is encoded here can be.
	}
	return encoded
}

func body(msgid uint32, method string, params ...any) []byte {
	return encode([]any{requestKind, msgid, method, params})
}

func decode(encoded []byte, msgid uint32) (result, error) {
	var answer response
	if err := msgpack.Unmarshal(encoded, &answer); err != nil {
		return result{}, err
	}
	if answer.Kind != responseKind || answer.Msgid != msgid ||
		answer.Error != nil {
		return result{}, fmt.Errorf("unexpected response %.200x", encoded)
	}
	return answer.Result, nil
}

// exchange sends one request behind the envelope, and demands the envelope and its response back.
func exchange(socket zmq4.Socket, envelope [][]byte, method string, params ...any) (result, error) {
	const msgid = 7
	frames := append(slices.Clone(envelope), body(msgid, method, params...))
	if err := socket.SendMulti(zmq4.NewMsgFrom(frames...)); err != nil {
		return result{}, err
	}
	received, err := socket.Recv()
	if err != nil {
		return result{}, err
	}
	last := len(received.Frames) - 1
	if !slices.EqualFunc(received.Frames[:last], envelope, bytes.Equal) {
		return result{}, fmt.Errorf("the envelope came back as %q", received.Frames[:last])
	}
	return decode(received.Frames[last], msgid)
}

func setAndGet(socket zmq4.Socket, envelope [][]byte, key string, value any) error {
	encoded := encode(value)
	if _, err := exchange(socket, envelope, "set", key, encoded); err != nil {
		return err
	}
	return expect(socket, envelope, key, encoded)
}

func expect(socket zmq4.Socket, envelope [][]byte, key string, encoded msgpack.RawMessage) error {
	got, err := exchange(socket, envelope, "get", key)
	if err != nil {
		return err
	}
	if got.Status != "found" || !bytes.Equal(got.Value, encoded) {
		return fmt.Errorf("%s: %.200x", got.Status, got.Value)
	}
	return nil
}

func dealer(socket zmq4.Socket) error {
	return setAndGet(socket, nil, "go dealer", map[string]any{"colour": "blue", "size": 42})
}

func envelope(socket zmq4.Socket) error {
	return setAndGet(socket, [][]byte{[]byte("who"), {}}, "go envelope", "behind an envelope")
}

func longFrames(socket zmq4.Socket) error {
	return setAndGet(socket, nil, "go long", bytes.Repeat([]byte{'x'}, bigBytes))
}

func pipeline(socket zmq4.Socket) error {
	for msgid := uint32(1); msgid <= pipelined; msgid++ {
		if err := socket.Send(zmq4.NewMsg(body(msgid, "increment", "go counter", 1))); err != nil {
			return err
		}
	}
	for msgid := uint32(1); msgid <= pipelined; msgid++ {
		received, err := socket.Recv()
		if err != nil {
			return err
		}
		answer, err := decode(received.Bytes(), msgid)
		if err != nil {
			return err
		}
		if !bytes.Equal(answer.Value, encode(int(msgid))) {
			return fmt.Errorf("response %d is %x", msgid, answer.Value)
		}
	}
	return nil
}

func req(socket zmq4.Socket) error { return setAndGet(socket, nil, "go req", "from REQ") }

// written reads what pyzmq has written before this program began.
func written(socket zmq4.Socket) error {
	return expect(socket, nil, "written by pyzmq", encode([]any{1, "two", nil}))
}

type creator func(context.Context, ...zmq4.Option) zmq4.Socket

func run(endpoint string, create creator, check func(zmq4.Socket) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	socket := create(ctx)
	defer socket.Close()
	if err := socket.Dial(endpoint); err != nil {
		return err
	}
	return check(socket)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: interop ENDPOINT")
		os.Exit(2)
	}
	checks := []struct {
		name   string
		create creator
		check  func(zmq4.Socket) error
	}{
		{"dealer", zmq4.NewDealer, dealer},
		{"envelope", zmq4.NewDealer, envelope},
		{"long_frames", zmq4.NewDealer, longFrames},
		{"pipeline", zmq4.NewDealer, pipeline},
		{"req", zmq4.NewReq, req},
		{"written", zmq4.NewDealer, written},
	}
	for _, one := range checks {
		outcome := "ok"
		if err := run(os.Args[1], one.create, one.check); err != nil {
			outcome = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(one.name, outcome)
	}
}
