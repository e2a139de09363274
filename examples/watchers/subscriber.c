/* Prints changes as the server publishes them: subscriber [FEED [PREFIX]]. Best effort.

   It needs libzmq and msgpack-c only: cc subscriber.c $(pkg-config --cflags --libs libzmq msgpack)
*/
#include <msgpack.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

int main(int argc, char** argv) {
  const char* feed = argc > 1 ? argv[1] : "tcp://127.0.0.1:5556";
  const char* prefix = argc > 2 ? argv[2] : "price:";
  void* context = zmq_ctx_new();
  void* subscriber = zmq_socket(context, ZMQ_SUB);
  if (zmq_connect(subscriber, feed) != 0) {
    fprintf(stderr, "%s: %s\n", feed, zmq_strerror(zmq_errno()));
    return 2;
  }
  zmq_setsockopt(subscriber, ZMQ_SUBSCRIBE, prefix, strlen(prefix));

  zmq_msg_t frame;
  zmq_msg_init(&frame);
  while (zmq_msg_recv(&frame, subscriber, 0) >= 0) {
    if (zmq_msg_more(&frame)) { /* The key; the event behind it names it too. */
      continue;
    }
    msgpack_unpacked event;
    msgpack_unpacked_init(&event);
    if (msgpack_unpack_next(&event, zmq_msg_data(&frame), zmq_msg_size(&frame), NULL) ==
        MSGPACK_UNPACK_SUCCESS) {
      msgpack_object_print(stdout, event.data);
      putchar('\n');
      fflush(stdout);
    }
    msgpack_unpacked_destroy(&event);
  }
  zmq_msg_close(&frame); /* Ctrl-C ends the program before it comes here. */
  zmq_close(subscriber);
  zmq_ctx_term(context);
  return 0;
}
