#include "ike/miss.h"

#include <stdarg.h>
#include <stdio.h>

struct text {
    char *buf;
    size_t len, at;
};

static void __attribute__((format(printf, 2, 3))) put(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    if (t->at >= t->len)
        return;
    va_start(args, format);
    n = vsnprintf(t->buf + t->at, t->len - t->at, format, args);
    va_end(args);
    t->at += n > 0 ? (size_t)n : 0;
}

/* What a proposal has of one type. */
static void put_type(struct text *t, const char *whose, const struct ike_proposal *p, uint8_t type)
{
    char name[IKE_TRANSFORM_TEXT];
    bool any = false;

    put(t, "%s", whose);
    for (size_t i = 0; p != NULL && i < p->count; i++) {
        if (p->transform[i].type != type)
            continue;
        put(t, " %s", ike_transform_text(&p->transform[i], name));
        any = true;
    }
    if (!any)
        put(t, " none");
}

static const struct ike_proposal *numbered(const struct ike_sa *sa, uint8_t number)
{
    for (size_t i = 0; i < sa->count; i++)
        if (sa->proposal[i].number == number)
            return &sa->proposal[i];
    return NULL;
}

const char *ike_miss_format(const struct ike_sa *offered, const struct ike_sa *ours,
                            const struct ike_choice_miss *miss, char *buf, size_t len)
{
    struct text t = {.buf = buf, .len = len};
    char type[IKE_CODE_TEXT];

    buf[0] = '\0';
    put(&t, "%s", ike_mismatch_text(miss->why));
    if (miss->type == 0)
        return buf;
    put(&t, ": %s: ", ike_code_text(ike_transform_type_name(miss->type), miss->type, type));
    /* Ours first: what others offer may be long. */
    put_type(&t, "ours", miss->ours < ours->count ? &ours->proposal[miss->ours] : NULL, miss->type);
    put_type(&t, ", offered", numbered(offered, miss->number), miss->type);
    if (offered->count > 1 || ours->count > 1)
        put(&t, " (the nearest of %zu offered proposals and %zu of ours)", offered->count,
            ours->count);
    return buf;
}
