/* What of a configuration belongs together: found by name, by index, by optional texts. */
#include "config/config.h"

#include <string.h>

const struct gh_session *gh_config_session(const struct gh_config *c, const char *name)
{
    for (size_t i = 0; i < c->session_count; i++) {
        if (strcmp(c->sessions[i].name, name) == 0)
            return &c->sessions[i];
    }
    return NULL;
}

const struct gh_key_chain *gh_config_chain(const struct gh_config *c, const struct gh_session *s)
{
    return s->chain != GH_NO_CHAIN ? &c->chains[s->chain] : NULL;
}

bool gh_config_chain_used(const struct gh_config *c, size_t chain)
{
    for (size_t i = 0; i < c->session_count; i++) {
        if (c->sessions[i].chain == chain)
            return true;
    }
    return false;
}

bool gh_config_text_equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}
