/* Marks what the preload library shows to programs: the functions that it stands in front of. */
#ifndef GH_SHIM_EXPORT_H
#define GH_SHIM_EXPORT_H

#define GH_SHIM_EXPORT __attribute__((visibility("default")))

#endif
