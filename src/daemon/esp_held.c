/* What `ike` hears of children that an earlier one has left here (CHILD_HELD, CHILD_LEFT). */
#include "daemon/esp_priv.h"

#include <stdlib.h>
#include <string.h>

static void tell(struct gh_esp *esp, enum gh_message type, const struct gh_wr *w)
{
    if (esp->keyer != NULL && gh_wr_ok(w))
        gh_channel_send(esp->keyer, type, w->base, w->len, -1);
}

static void tell_one(void *ctx, const struct gh_esp_child_view *v)
{
    struct gh_esp *esp = ctx;
    uint8_t body[GH_ESP_CHILD_MAX + 4];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (!v->orphan || v->child->kernel)
        return;
    gh_wr_u32(&w, v->owner);
    gh_esp_put_child(&w, v->child);
    tell(esp, GH_MESSAGE_CHILD_HELD, &w);
    esp->held[v->owner] = true;
}

void gh_esp_held_tell(struct gh_esp *esp)
{
    if (esp->slots < 2)
        return;
    if (esp->held == NULL)
        esp->held = malloc(GH_ESP_CHILDREN_MAX * sizeof(*esp->held));
    if (esp->held == NULL)
        return;
    memset(esp->held, 0, GH_ESP_CHILDREN_MAX * sizeof(*esp->held));
    gh_esp_children_each(esp->children, tell_one, esp);
}

void gh_esp_held_gone(struct gh_esp *esp, uint32_t owner)
{
    uint8_t body[4];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (esp->held == NULL || !esp->held[owner])
        return;
    esp->held[owner] = false;
    gh_wr_u32(&w, owner);
    tell(esp, GH_MESSAGE_CHILD_LEFT, &w);
}
