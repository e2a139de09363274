// The sub-commands of entrepot-server for a data folder that no server uses:
//
//    entrepot-server verify DIR               checks every byte, and says what is wrong
//    entrepot-server repair DIR [--dry-run]   copies the files to DIR.before-repair, then makes of
//                                             what is whole a folder that can be started
//    entrepot-server dump DIR                 prints the log's records as lines of JSON
//    entrepot-server backup DIR DEST          copies what makes the store to DEST
//    entrepot-server restore BACKUP DIR       makes DIR, a data folder with a new history, of it
//
// They read no configuration. What they conclude is the log's (log/tools.h, log/backup.h); here is
// how it is said.
//
// Thread safety: one call at a time for one folder, which the lock file ensures.
//
//    line   := {"segment", "offset", "revision", "term", "time_ms", "type", [outcome], [changes],
//               [fields of the type]}
//    change := {"op", "cause", "key" or "key_hex", "previous_version", ["expires_at_ms"],
//               ["value_hex"]}                          -- the value's msgpack, byte for byte
#pragma once

#include <cstdio>
#include <optional>
#include <span>

namespace entrepot {

// Scripts rely on these; docs/OPERATING.md names them.
enum class ToolExit : int {
  kDone = 0,     // verify: the folder can be started. repair: it can, now or before already.
  kRefused = 1,  // The folder is in use, is none of ours, cannot be read, or what is to be made is
                 // there already. Nothing was changed.
  kUsage = 2,    // The arguments cannot be meant.
  kDamaged = 3,  // verify, dump, backup, restore: a start would be refused. repair: only a backup
                 // can help. repair --dry-run: something is to be done.
};

// Runs the sub-command that `arguments`, those behind the program's name, begin with, and gives the
// exit status; nullopt where they begin with none. Answers go to `out`, complaints to `err`.
std::optional<int> RunFolderTool(std::span<const char* const> arguments, FILE* out, FILE* err);

}  // namespace entrepot
