/* verify-pcap as a program of its own, for oracle_ao.py. */
#include "capture/verify.h"

int main(int argc, char **argv)
{
    return gh_cmd_verify_pcap(argc, argv);
}
