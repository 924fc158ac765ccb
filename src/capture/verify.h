/*
 * gatectl verify-pcap FILE --config CONF [--session NAME] [--verbose] [--json]
 *
 * The command as gatectl calls it: argv[0] is "verify-pcap". Prints to standard output, problems to
 * standard error.
 */
#ifndef GH_CAPTURE_VERIFY_H
#define GH_CAPTURE_VERIFY_H

/* Exit status: 0 something verified and nothing failed; 1 something failed, or nothing could be
 * verified; 2 usage, or a file that cannot be read. */
int gh_cmd_verify_pcap(int argc, char **argv);

#endif
