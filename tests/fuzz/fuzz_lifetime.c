/*
 * Instants, durations and lifetimes: a text is refused with a reason, or means something that its
 * canonical text means too.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "config/lifetime.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    setenv("TZ", "Europe/Berlin", 1); /* has hours that do not exist and that exist twice */
    tzset();
    return 0;
}

static void check_lifetime(const char *text)
{
    struct tcpao_lifetime l, again;
    char canonical[GH_LIFETIME_TEXT];
    const char *why = NULL;

    if (!gh_lifetime_parse(text, &l, &why)) {
        if (why == NULL)
            abort();
        return;
    }
    gh_lifetime_format(&l, canonical);
    if (!gh_lifetime_parse(canonical, &again, &why) || again.from != l.from ||
        again.until != l.until)
        abort();
}

static void check_instant(const char *text)
{
    char canonical[32];
    const char *why = NULL;
    int64_t t, again;

    if (!gh_instant_parse(text, &t, &why))
        return;
    gh_time_format(t, canonical, sizeof(canonical));
    if (!gh_instant_parse(canonical, &again, &why) || again != t)
        abort();
}

static void check_duration(const char *text)
{
    char canonical[GH_LIFETIME_TEXT];
    const char *why = NULL;
    int64_t t, again;

    if (!gh_duration_parse(text, &t, &why))
        return;
    gh_duration_text(t, canonical);
    if (t <= 0 || !gh_duration_parse(canonical, &again, &why) || again != t)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);

    if (text == NULL)
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    check_lifetime(text);
    check_instant(text);
    check_duration(text);
    free(text);
    return 0;
}
