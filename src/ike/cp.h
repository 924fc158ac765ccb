/* The Configuration payload (RFC 7296 3.15): attributes asked for, given, set, acknowledged. */
#ifndef IKE_CP_H
#define IKE_CP_H

#include "ike/out.h"
#include "ike/payload.h"

enum { IKE_CP_MAX = 64 };

struct ike_cp_attribute {
    uint16_t type; /* IKE_CPA_… */
    struct gh_view value;
};

struct ike_cp {
    uint8_t type; /* IKE_CP_REQUEST … */
    struct ike_cp_attribute attribute[IKE_CP_MAX];
    size_t count;
};

enum ike_fault ike_cp_parse(struct gh_view body, struct ike_cp *out);
void ike_cp_emit(struct ike_out *o, const struct ike_cp *cp);
/* The nth (from 0) attribute of a type, or NULL. */
const struct ike_cp_attribute *ike_cp_find(const struct ike_cp *cp, uint16_t type, size_t nth);
/* False: full. */
bool ike_cp_add(struct ike_cp *cp, uint16_t type, struct gh_view value);

#endif
