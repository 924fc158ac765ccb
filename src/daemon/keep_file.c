#include "daemon/keep_file.h"

#include <stdlib.h>

#include "daemon/rundir.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { MAGIC = 0x47484b31, HEADER = 4, ENTRY = 12 };

static bool is_open_record(const struct gh_kept *e)
{
    return e->len > 0 && e->data[0] == 0;
}

bool gh_keep_save(const struct gh_keep *k, const char *run_directory)
{
    size_t size = HEADER;
    struct gh_wr w;
    uint8_t *data;
    bool good;

    for (size_t i = 0; i < k->count; i++)
        if (is_open_record(&k->list[i]))
            size += ENTRY + k->list[i].len;
    data = malloc(size);
    w = gh_wr_make(data, data != NULL ? size : 0);
    gh_wr_u32(&w, MAGIC);
    for (size_t i = 0; i < k->count; i++) {
        if (!is_open_record(&k->list[i]))
            continue;
        gh_wr_u64(&w, k->list[i].cookie);
        gh_wr_u32(&w, k->list[i].len);
        gh_wr_bytes(&w, k->list[i].data, k->list[i].len);
    }
    good = gh_wr_ok(&w) && gh_rundir_write(run_directory, "sockets", data, w.len);
    free(data);
    return good;
}

void gh_keep_load(struct gh_keep *k, const char *run_directory)
{
    size_t len = 0;
    uint8_t *data = gh_rundir_read(run_directory, "sockets", &len);
    struct gh_rd r = gh_rd_make(data, data != NULL ? len : 0);

    if (gh_rd_u32(&r) != MAGIC)
        r = gh_rd_make(NULL, 0);
    while (gh_rd_left(&r) > 0) {
        struct gh_kept e = {.cookie = gh_rd_u64(&r)};
        const uint8_t *record;

        e.len = gh_rd_u32(&r);
        record = gh_rd_bytes(&r, e.len);
        if (record == NULL || e.len == 0 || record[0] != 0 ||
            !gh_keep_put(k, e.cookie, record, e.len))
            break;
        gh_keep_find(k, e.cookie)->earlier = true;
    }
    free(data);
}
