/* compiled.h: chunks of Lua that are compiled already, for the launcher, which reads them in a seventh of the time.
 *
 * A file NAME.luac holds, one behind the other: which Lua it is for, the name of the chunk, the text it was made of, and
 * what lua_dump made of that, all of its debug information included. It is played only where its first three parts are,
 * byte for byte, what is here now, so a text that has changed since, or lies elsewhere, is read as a text.
 */
#ifndef COMPILED_H
#define COMPILED_H

#include <string.h>

#include <lua.h>
#include <lauxlib.h>

/* Whether `part` stands at *at; then *at is behind it. */
static inline int compiled_pass (const char *made, size_t size, size_t *at, const char *part, size_t n) {
  if (n > size - *at || memcmp(made + *at, part, n) != 0) return 0;
  *at += n;
  return 1;
}

/* Where in a file what was dumped begins; 0 when the first three parts are not these. */
static inline size_t compiled_dump (const char *made, size_t size, const char *name, const char *text, size_t n) {
  size_t at = 0;
  int is = compiled_pass(made, size, &at, lua_ident, strlen(lua_ident)) && compiled_pass(made, size, &at, "\n@", 2)
        && compiled_pass(made, size, &at, name, strlen(name)) && compiled_pass(made, size, &at, "\n", 1)
        && compiled_pass(made, size, &at, text, n);
  return is ? at : 0;
}

#endif
