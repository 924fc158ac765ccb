#include "control/ike_notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

struct gh_ike_notes {
    struct gh_ike_note *list, *bucket[BUCKETS]; /* by name */
    uint64_t seen[IKE2_COUNT_COUNT];            /* the core's counters when we last looked */
    unsigned up[GH_IKE_RATE_SECONDS];
    uint64_t second; /* monotonic, of the newest of them */
};

bool gh_ike_count_is_failure(enum ike2_count c)
{
    switch (c) {
    case IKE2_COUNT_NO_POLICY:
    case IKE2_COUNT_NO_PROPOSAL:
    case IKE2_COUNT_INVALID_KE:
    case IKE2_COUNT_AUTH_FAILED:
    case IKE2_COUNT_TS_UNACCEPTABLE:
    case IKE2_COUNT_TIMED_OUT:
    case IKE2_COUNT_HALF_OPEN_EXPIRED:
    case IKE2_COUNT_HALF_OPEN_LIMIT:
    case IKE2_COUNT_LOCKED_OUT:
    case IKE2_COUNT_PEER_DEAD:
    case IKE2_COUNT_PEER_CRASHED:
    case IKE2_COUNT_NOT_REDIRECTED:
    case IKE2_COUNT_PUZZLE_TOO_HARD:
    case IKE2_COUNT_NO_MEMORY:
    case IKE2_COUNT_SA_LIMIT:
    case IKE2_COUNT_ADMIN_DOWN:
    case IKE2_COUNT_CHILD_SPI_HEARD:
    case IKE2_COUNT_NOT_MOVED:
        return true;
    default:
        return false;
    }
}

/* ---- Notes by policy ------------------------------------------------------------------------ */

/* FNV-1a: the names are the operator's. */
static size_t bucket_of(const char *name)
{
    uint32_t h = 0x811c9dc5;

    for (const char *c = name; *c != '\0'; c++)
        h = (h ^ (uint8_t)*c) * 0x01000193;
    return h % BUCKETS;
}

static struct gh_ike_note *find(const struct gh_ike_notes *n, const char *name)
{
    struct gh_ike_note *note = n->bucket[bucket_of(name)];

    while (note != NULL && strcmp(note->name, name) != 0)
        note = note->next_same;
    return note;
}

const struct gh_ike_note *gh_ike_notes_find(const struct gh_ike_notes *n, const char *policy)
{
    return find(n, policy);
}

/* NULL: no memory. */
static struct gh_ike_note *get(struct gh_ike_notes *n, const char *name)
{
    struct gh_ike_note *note = find(n, name), **bucket;

    if (note != NULL)
        return note;
    note = calloc(1, sizeof(*note));
    if (note == NULL)
        return NULL;
    snprintf(note->name, sizeof(note->name), "%s", name);
    note->next = n->list;
    n->list = note;
    bucket = &n->bucket[bucket_of(note->name)];
    note->next_same = *bucket;
    *bucket = note;
    return note;
}

static void drop(struct gh_ike_notes *n, struct gh_ike_note **at)
{
    struct gh_ike_note *note = *at, **same = &n->bucket[bucket_of(note->name)];

    *at = note->next;
    while (*same != note)
        same = &(*same)->next_same;
    *same = note->next_same;
    for (size_t i = 0; i < IKE2_COUNT_COUNT; i++)
        free(note->failures[i]);
    free(note);
}

void gh_ike_notes_keep(struct gh_ike_notes *n, struct ike2_policy *const *policies, size_t count)
{
    struct gh_ike_note **at = &n->list;

    for (size_t i = 0; i < count; i++) {
        struct gh_ike_note *note = get(n, policies[i]->name); /* so that failures find theirs */
        char addr[GH_ADDR_TEXT];

        if (note == NULL)
            continue;
        note->kept = true;
        note->from[0] = '\0';
        if (policies[i]->gateway.len != 0)
            snprintf(note->from, sizeof(note->from),
                     " from %s: ", gh_addr_format(&policies[i]->gateway, addr));
    }
    while (*at != NULL) {
        if (!(*at)->kept) {
            drop(n, at);
            continue;
        }
        (*at)->kept = false;
        at = &(*at)->next;
    }
}

const struct gh_ike_failure *gh_ike_note_latest(const struct gh_ike_note *note, int64_t since,
                                                enum ike2_count *reason)
{
    const struct gh_ike_failure *latest = NULL;

    for (unsigned i = 0; note != NULL && i < IKE2_COUNT_COUNT; i++) {
        const struct gh_ike_failure *f = note->failures[i];

        if (f != NULL && f->when >= since && (latest == NULL || f->when > latest->when)) {
            latest = f;
            *reason = i;
        }
    }
    return latest;
}

/* ---- Events --------------------------------------------------------------------------------- */

static void set_failure(struct gh_ike_failure *f, uint64_t count, int64_t when, const char *text)
{
    f->when = when;
    if (f->first == 0)
        f->first = when;
    f->count += count;
    snprintf(f->text, sizeof(f->text), "%s", text);
}

/* Seconds that have passed without an SA are empty. */
static void advance(struct gh_ike_notes *n, uint64_t second)
{
    if (second - n->second >= GH_IKE_RATE_SECONDS)
        memset(n->up, 0, sizeof(n->up));
    else
        for (uint64_t s = n->second + 1; s <= second; s++)
            n->up[s % GH_IKE_RATE_SECONDS] = 0;
    n->second = second;
}

void gh_ike_notes_event(struct gh_ike_notes *n, const struct ike2_event *e, struct gh_now now)
{
    struct gh_ike_note *note = e->policy[0] != '\0' ? get(n, e->policy) : NULL;
    uint64_t second = now.mono_ms / 1000;

    if (e->kind == IKE2_EVENT_SA_UP) {
        if (second > n->second)
            advance(n, second);
        n->up[second % GH_IKE_RATE_SECONDS]++;
    }
    if (note == NULL)
        return;
    if (e->kind == IKE2_EVENT_SA_BEGUN)
        note->begun = now.wall;
    else if (e->kind == IKE2_EVENT_SA_UP)
        note->up = now.wall;
    else if (e->kind == IKE2_EVENT_SA_DOWN)
        note->down = now.wall;
    else if (e->kind == IKE2_EVENT_CHILD_UP)
        note->child_up = now.wall;
    else if (e->kind == IKE2_EVENT_CHILD_FAILED)
        set_failure(&note->child, 1, now.wall, e->text);
}

unsigned gh_ike_notes_rate(const struct gh_ike_notes *n, struct gh_now now, unsigned seconds)
{
    uint64_t second = now.mono_ms / 1000;
    unsigned sum = 0;

    for (uint64_t age = 0; age < seconds && age < GH_IKE_RATE_SECONDS && age <= second; age++)
        if (second - age <= n->second && n->second - (second - age) < GH_IKE_RATE_SECONDS)
            sum += n->up[(second - age) % GH_IKE_RATE_SECONDS];
    return sum;
}

/* ---- Failures ------------------------------------------------------------------------------- */

/* "name: text", or of a message that is nobody's yet "… from ADDRESS: …". The longest name that
 * fits, since a name may hold a colon. *words: the text without the name. */
static struct gh_ike_note *owner(const struct gh_ike_notes *n, const char *text, const char **words)
{
    struct gh_ike_note *best = NULL;

    *words = text;
    for (struct gh_ike_note *note = n->list; note != NULL; note = note->next)
        if (note->from[0] != '\0' && strstr(text, note->from) != NULL)
            best = note;
    if (best != NULL)
        return best;

    for (struct gh_ike_note *note = n->list; note != NULL; note = note->next) {
        size_t len = strlen(note->name);

        if (strncmp(text, note->name, len) == 0 && strncmp(text + len, ": ", 2) == 0 &&
            (best == NULL || len > strlen(best->name))) {
            best = note;
            *words = text + len + 2;
        }
    }
    return best;
}

static void add_failure(struct gh_ike_note *note, enum ike2_count reason, uint64_t count,
                        int64_t when, const char *text)
{
    struct gh_ike_failure *f = note->failures[reason];

    if (f == NULL)
        f = note->failures[reason] = calloc(1, sizeof(*f));
    if (f == NULL)
        return;
    set_failure(f, count, when, text);
}

void gh_ike_notes_look(struct gh_ike_notes *n, const struct ike2 *core)
{
    const uint64_t *counters = ike2_counters(core);

    for (unsigned i = 0; i < IKE2_COUNT_COUNT; i++) {
        uint64_t fresh = counters[i] - n->seen[i];
        struct gh_ike_note *note;
        const char *text, *words;
        int64_t when;

        if (fresh == 0)
            continue;
        n->seen[i] = counters[i];
        text = gh_ike_count_is_failure(i) ? ike2_last_failure(core, i, &when) : NULL;
        note = text != NULL ? owner(n, text, &words) : NULL;
        if (note != NULL)
            add_failure(note, i, fresh, when, words);
    }
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct gh_ike_notes *gh_ike_notes_new(void)
{
    return calloc(1, sizeof(struct gh_ike_notes));
}

void gh_ike_notes_free(struct gh_ike_notes *n)
{
    if (n == NULL)
        return;
    while (n->list != NULL)
        drop(n, &n->list);
    free(n);
}
