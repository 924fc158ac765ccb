/* The faults' notifications and words, made from the list in fault.h. */
#include "ike/fault.h"

#define FAULT_NOTIFY(constant, notify, text) [constant] = (notify),
#define FAULT_TEXT(constant, notify, text)   [constant] = (text),

static const uint16_t notifies[] = {IKE_FAULTS(FAULT_NOTIFY)};
static const char *const texts[] = {IKE_FAULTS(FAULT_TEXT)};

enum ike_notify_type ike_fault_notify(enum ike_fault fault)
{
    return (enum ike_notify_type)notifies[fault];
}

const char *ike_fault_text(enum ike_fault fault)
{
    return texts[fault];
}
