#include "daemon/esp_waiting.h"

#include <stdlib.h>
#include <string.h>

struct packet {
    struct packet *next;
    uint64_t since_ms;
    uint32_t place;
    size_t len;
    uint8_t octets[];
};

struct queue {
    struct packet *first, *last;
    size_t packets, octets;
};

struct gh_esp_waiting {
    struct queue *queues; /* [count], by policy */
    size_t count;
    size_t octets; /* of all */
    uint64_t counts[GH_ESP_WAITING_COUNT];
};

const char *gh_esp_waiting_count_name(enum gh_esp_waiting_count count)
{
    static const char *const names[] = {
#define X(name, text) text,
        GH_ESP_WAITING_COUNTS(X)
#undef X
    };

    return (unsigned)count < GH_ESP_WAITING_COUNT ? names[count] : "?";
}

struct gh_esp_waiting *gh_esp_waiting_new(void)
{
    return calloc(1, sizeof(struct gh_esp_waiting));
}

static struct packet *take(struct gh_esp_waiting *w, struct queue *q)
{
    struct packet *p = q->first;

    q->first = p->next;
    if (q->first == NULL)
        q->last = NULL;
    q->packets--;
    q->octets -= p->len;
    w->octets -= p->len;
    return p;
}

void gh_esp_waiting_free(struct gh_esp_waiting *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->count; i++)
        while (w->queues[i].first != NULL)
            free(take(w, &w->queues[i]));
    free(w->queues);
    free(w);
}

static struct queue *queue_of(struct gh_esp_waiting *w, uint32_t policy)
{
    struct queue *more;

    if (policy < w->count)
        return &w->queues[policy];
    more = realloc(w->queues, ((size_t)policy + 1) * sizeof(*more));
    if (more == NULL)
        return NULL;
    memset(more + w->count, 0, ((size_t)policy + 1 - w->count) * sizeof(*more));
    w->queues = more;
    w->count = (size_t)policy + 1;
    return &w->queues[policy];
}

void gh_esp_waiting_keep(struct gh_esp_waiting *w, uint64_t since_ms, uint32_t policy,
                         uint32_t place, const uint8_t *packet, size_t len)
{
    struct queue *q = queue_of(w, policy);
    struct packet *p = NULL;

    if (q != NULL && q->packets < GH_ESP_WAITING_PACKETS &&
        len <= GH_ESP_WAITING_OCTETS - q->octets && len <= GH_ESP_WAITING_ALL - w->octets)
        p = malloc(sizeof(*p) + len);
    if (p == NULL) {
        w->counts[GH_ESP_WAITING_FULL]++;
        return;
    }
    *p = (struct packet){.since_ms = since_ms, .place = place, .len = len};
    memcpy(p->octets, packet, len);
    if (q->last != NULL)
        q->last->next = p;
    else
        q->first = p;
    q->last = p;
    q->packets++;
    q->octets += len;
    w->octets += len;
    w->counts[GH_ESP_WAITING_KEPT]++;
}

void gh_esp_waiting_release(struct gh_esp_waiting *w, uint32_t policy,
                            void (*fn)(void *ctx, uint64_t since_ms, uint32_t place,
                                       const uint8_t *packet, size_t len),
                            void *ctx)
{
    size_t waiting = policy < w->count ? w->queues[policy].packets : 0;

    while (waiting-- > 0) {
        struct packet *p = take(w, &w->queues[policy]); /* fn() may move the queues */
        uint64_t kept = w->counts[GH_ESP_WAITING_KEPT];

        fn(ctx, p->since_ms, p->place, p->octets, p->len);
        if (w->counts[GH_ESP_WAITING_KEPT] == kept)
            w->counts[GH_ESP_WAITING_RELEASED]++;
        else
            w->counts[GH_ESP_WAITING_KEPT] = kept; /* the same one waits on */
        free(p);
    }
}

void gh_esp_waiting_tick(struct gh_esp_waiting *w, uint64_t now_ms,
                         void (*fn)(void *ctx, uint32_t place, const uint8_t *packet, size_t len),
                         void *ctx)
{
    for (size_t i = 0; w->octets > 0 && i < w->count; i++) {
        struct queue *q = &w->queues[i];

        while (q->first != NULL && now_ms - q->first->since_ms >= GH_ESP_WAITING_MS) {
            struct packet *p = take(w, q);

            w->counts[GH_ESP_WAITING_LATE]++;
            if (fn != NULL)
                fn(ctx, p->place, p->octets, p->len);
            free(p);
        }
    }
}

const uint64_t *gh_esp_waiting_counts(const struct gh_esp_waiting *w)
{
    return w->counts;
}
