/* ESP and AH with unknown SPIs (stray.c): INVALID_SPI. */
#ifndef IKE2_STRAY_H
#define IKE2_STRAY_H

#include "ike/v2/priv.h"

void ike2_stray_put(const struct ike2_task *t, struct ike_out *o);
void ike2_stray_heard(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in);

#endif
