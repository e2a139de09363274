package entrepot;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.msgpack.core.MessageBufferPacker;
import org.msgpack.core.MessagePack;
import org.msgpack.value.Value;
import org.msgpack.value.ValueFactory;
import org.zeromq.SocketType;
import org.zeromq.ZContext;
import org.zeromq.ZMQ;
import org.zeromq.ZMsg;

/**
 * Speaks to a server with JeroMQ, an implementation of ZMTP in Java, and prints a line for each
 * check: its name and "ok", or what went wrong. The argument is the endpoint.
 */
public final class Interop {
  private static final int REQUEST = 0;
  private static final int RESPONSE = 1;
  private static final int TIMEOUT_MS = 30_000;
  private static final int CONNECT_TIMEOUT_MS = 5_000;
  private static final int CONNECT_ATTEMPTS = 4;
  private static final int LONG_BYTES = 1 << 20;
  private static final int PIPELINED = 1000;
  private static final byte[][] NO_ENVELOPE = {};

  /** What a check does with a socket of its own that is connected. */
  private interface Check {
    void run(ZMQ.Socket socket) throws IOException, Failure;
  }

  /** The server did not answer, or not as it should. */
  private static final class Failure extends Exception {
    Failure(String what) {
      super(what);
    }
  }

  private static byte[] body(int msgid, String method, Value... params) throws IOException {
    try (MessageBufferPacker packer = MessagePack.newDefaultBufferPacker()) {
      packer.packArrayHeader(4).packInt(REQUEST).packInt(msgid).packString(method);
      packer.packValue(ValueFactory.newArray(params));
      return packer.toByteArray();
    }
  }

  private static Value string(String text) {
    return ValueFactory.newString(text);
  }

  /** The result of a response [1, msgid, nil, result]. */
  private static Map<Value, Value> result(byte[] encoded, int msgid) throws IOException, Failure {
    List<Value> items =
        MessagePack.newDefaultUnpacker(encoded).unpackValue().asArrayValue().list();
    boolean expected = items.size() == 4
        && items.get(0).equals(ValueFactory.newInteger(RESPONSE))
        && items.get(1).equals(ValueFactory.newInteger(msgid))
        && items.get(2).isNilValue();
    if (!expected) {
      throw new Failure("unexpected response " + items);
    }
    return items.get(3).asMapValue().map();
  }

  /** Reads one message, demands the envelope in front of it and gives back the body. */
  private static byte[] receive(ZMQ.Socket socket, byte[][] envelope) throws Failure {
    ZMsg message = ZMsg.recvMsg(socket);
    if (message == null) {
      throw new Failure("no reply within " + TIMEOUT_MS + " ms");
    }
    for (byte[] frame : envelope) {
      if (!Arrays.equals(frame, message.pop().getData())) {
        throw new Failure("another envelope came back");
      }
    }
    if (message.size() != 1) {
      throw new Failure(message.size() + " frames behind the envelope");
    }
    return message.pop().getData();
  }

  private static Map<Value, Value> exchange(
      ZMQ.Socket socket, byte[][] envelope, String method, Value... params)
      throws IOException, Failure {
    final int msgid = 7;
    ZMsg message = new ZMsg();
    for (byte[] frame : envelope) {
      message.add(frame);
    }
    message.add(body(msgid, method, params));
    message.send(socket);
    return result(receive(socket, envelope), msgid);
  }

  private static void expect(Map<Value, Value> result, String field, Value expected)
      throws Failure {
    if (!expected.equals(result.get(string(field)))) {
      String text = result.toString();
      throw new Failure("read " + text.substring(0, Math.min(200, text.length())));
    }
  }

  private static void setAndGet(ZMQ.Socket socket, byte[][] envelope, String key, Value value)
      throws IOException, Failure {
    exchange(socket, envelope, "set", string(key), value);
    expect(exchange(socket, envelope, "get", string(key)), "value", value);
  }

  private static void dealer(ZMQ.Socket socket) throws IOException, Failure {
    Value value = ValueFactory.newMap(
        string("colour"), string("blue"), string("size"), ValueFactory.newInteger(42));
    setAndGet(socket, NO_ENVELOPE, "java dealer", value);
  }

  private static void envelope(ZMQ.Socket socket) throws IOException, Failure {
    byte[][] envelope = {"who".getBytes(ZMQ.CHARSET), {}};
    setAndGet(socket, envelope, "java envelope", string("behind an envelope"));
  }

  private static void longFrames(ZMQ.Socket socket) throws IOException, Failure {
    setAndGet(socket, NO_ENVELOPE, "java long", ValueFactory.newBinary(new byte[LONG_BYTES]));
  }

  private static void pipeline(ZMQ.Socket socket) throws IOException, Failure {
    for (int msgid = 1; msgid <= PIPELINED; ++msgid) {
      socket.send(body(msgid, "increment", string("java counter"), ValueFactory.newInteger(1)));
    }
    for (int msgid = 1; msgid <= PIPELINED; ++msgid) {
      Map<Value, Value> result = result(receive(socket, NO_ENVELOPE), msgid);
      expect(result, "value", ValueFactory.newInteger(msgid));
    }
  }

  /** REQ takes its empty frame off itself. */
  private static void req(ZMQ.Socket socket) throws IOException, Failure {
    setAndGet(socket, NO_ENVELOPE, "java req", string("from REQ"));
  }

  private static void written(ZMQ.Socket socket) throws IOException, Failure {
    Value value = ValueFactory.newArray(
        ValueFactory.newInteger(1), string("two"), ValueFactory.newNil());
    expect(exchange(socket, NO_ENVELOPE, "get", string("written by pyzmq")), "value", value);
  }

  /**
   * A socket that has had an answer. JeroMQ 0.6.0 loses what is sent in the moment in which its
   * handshake ends, about once in a hundred connections, with a bare ROUTER of libzmq on the other
   * side too; a client that gets no answer then connects again.
   */
  private static ZMQ.Socket connect(ZContext context, SocketType type, String endpoint)
      throws IOException, Failure {
    for (int attempt = 0; attempt < CONNECT_ATTEMPTS; ++attempt) {
      ZMQ.Socket socket = context.createSocket(type);
      socket.setLinger(0);
      socket.setReceiveTimeOut(CONNECT_TIMEOUT_MS);
      socket.connect(endpoint);
      socket.send(body(0, "ping"));
      byte[] answer = socket.recv();
      if (answer != null) {
        result(answer, 0);
        socket.setReceiveTimeOut(TIMEOUT_MS);
        return socket;
      }
      socket.close();
    }
    throw new Failure("no answer to any of " + CONNECT_ATTEMPTS + " connections");
  }

  private static void report(String endpoint, String name, SocketType type, Check check)
      throws IOException {
    String outcome = "ok";
    try (ZContext context = new ZContext()) {
      check.run(connect(context, type, endpoint));
    } catch (Failure failure) {
      outcome = failure.getMessage().replace('\n', ' ');
    }
    System.out.println(name + " " + outcome);
  }

  public static void main(String[] arguments) throws IOException {
    if (arguments.length != 1) {
      System.err.println("usage: Interop ENDPOINT");
      System.exit(2);
    }
    String endpoint = arguments[0];
    report(endpoint, "dealer", SocketType.DEALER, Interop::dealer);
    report(endpoint, "envelope", SocketType.DEALER, Interop::envelope);
    report(endpoint, "long_frames", SocketType.DEALER, Interop::longFrames);
    report(endpoint, "pipeline", SocketType.DEALER, Interop::pipeline);
    report(endpoint, "req", SocketType.REQ, Interop::req);
    report(endpoint, "written", SocketType.DEALER, Interop::written);
  }

  private Interop() {}
}
