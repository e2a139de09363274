/* Talks to entrepot-server with nothing but libzmq and msgpack-c: raw [--server ENDPOINT]
 *
 *   cc raw.c -o raw $(pkg-config --cflags --libs libzmq msgpack)
 */
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static void *server_socket;
static msgpack_sbuffer body; /* The request being made. */
static msgpack_packer packer;

static void text(const char *string) {
  msgpack_pack_str_with_body(&packer, string, strlen(string));
}

/* Begins the request [0, msgid, method, params]; the caller packs as many params. */
static void begin(const char *method, size_t params) {
  static uint32_t msgid = 0;
  msgpack_sbuffer_clear(&body);
  msgpack_pack_array(&packer, 4);
  msgpack_pack_int(&packer, 0);
  msgpack_pack_uint32(&packer, ++msgid);
  text(method);
  msgpack_pack_array(&packer, params);
}

/* Sends the request and prints the response: [1, msgid, error, result]. */
static void finish(const char *title) {
  zmq_msg_t reply;
  msgpack_unpacked response;
  zmq_send(server_socket, body.data, body.size, 0);
  zmq_msg_init(&reply);
  if (zmq_msg_recv(&reply, server_socket, 0) < 0) {
    fprintf(stderr, "no answer within 5 seconds: is entrepot-server running?\n");
    exit(1);
  }
  msgpack_unpacked_init(&response);
  if (msgpack_unpack_next(&response, zmq_msg_data(&reply), zmq_msg_size(&reply), NULL) !=
      MSGPACK_UNPACK_SUCCESS) {
    fprintf(stderr, "the reply is not msgpack\n");
    exit(1);
  }
  printf("%-10s ", title);
  msgpack_object_print(stdout, response.data);
  printf("\n");
  msgpack_unpacked_destroy(&response);
  zmq_msg_close(&reply);
}

int main(int argc, char **argv) {
  const char *server = argc == 3 && !strcmp(argv[1], "--server") ? argv[2] : "tcp://127.0.0.1:5555";
  void *context = zmq_ctx_new();
  int wait_ms = 5000, linger_ms = 0;
  server_socket = zmq_socket(context, ZMQ_DEALER);
  zmq_setsockopt(server_socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
  zmq_setsockopt(server_socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
  if (zmq_connect(server_socket, server) != 0) {
    fprintf(stderr, "%s: %s\n", server, zmq_strerror(zmq_errno()));
    return 2;
  }
  msgpack_sbuffer_init(&body);
  msgpack_packer_init(&packer, &body, msgpack_sbuffer_write);

  begin("set", 2), text("raw.c/colour"), text("green"), finish("set");
  begin("get", 1), text("raw.c/colour"), finish("get");
  begin("set", 3), text("raw.c/colour"), text("red");
  msgpack_pack_map(&packer, 1), text("if_version"), msgpack_pack_int(&packer, 0);
  finish("conflict");
  begin("increment", 2), text("raw.c/visits"), msgpack_pack_int(&packer, 1), finish("increment");
  begin("find", 1), text("gr"), finish("find");
  begin("delete_prefix", 1), text("raw.c/"), finish("clean up");

  msgpack_sbuffer_destroy(&body);
  zmq_close(server_socket);
  zmq_ctx_term(context);
  return 0;
}
