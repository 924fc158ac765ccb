/* show-processes: the parent and its children. */
#include "daemon/parent_priv.h"

#include <unistd.h>

static json_t *process(const char *name, pid_t pid, uint64_t age_ms, unsigned starts)
{
    return json_pack("{s:s, s:I, s:I, s:I}", "name", name, "pid", (json_int_t)pid, "uptime",
                     (json_int_t)(age_ms / 1000), "restarts",
                     (json_int_t)(starts > 0 ? starts - 1 : 0));
}

json_t *gh_parent_processes(const struct gh_parent *p)
{
    const struct gh_child *children[] = {&p->ao, &p->ike.keeper, &p->ike.ike, &p->xfrm.xfrm};
    uint64_t now = uv_now(&p->loop);
    json_t *list = json_array();

    json_array_append_new(list, process("parent", getpid(), now - p->began, 1));
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++)
        if (children[i]->running)
            json_array_append_new(list, process(children[i]->role, children[i]->process.pid,
                                                now - children[i]->began, children[i]->starts));
    for (size_t i = 0; i < GH_WORKERS; i++) {
        const struct gh_parent_worker *w = &p->esp.workers[i];
        char text[16];

        if (w->child.running)
            json_array_append_new(list,
                                  process(gh_parent_worker_name(w, text), w->child.process.pid,
                                          now - w->child.began, w->child.starts));
    }
    return json_pack("{s:b, s:o}", "ok", 1, "processes", list);
}
