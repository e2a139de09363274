// What a program outside of the project does with an installed client: store, walk, say so.

#include <entrepot/client.h>
#include <entrepot/msgpack.h>

#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  entrepot::Client client(argv[1]);
  for (const char* name : {"Ada", "Grace", "Edsger"}) {
    const entrepot::Result<entrepot::Outcome> stored =
        client.Set(std::string("user:") + name, entrepot::ToValue(std::vector<std::string>{name}));
    if (!stored.ok()) {
      std::cerr << stored.status() << '\n';
      return 1;
    }
  }
  entrepot::Walk users = client.Scan("user:");
  for (auto& entry : users) std::cout << entry.key << '\n';
  return users.status().ok() ? 0 : 1;
}
