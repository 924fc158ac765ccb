/*
 * gatectl's commands that need no daemon: they read configurations and print.
 *
 * gatectl calls each with the command's own words as argv: argv[0] is its name. They parse their
 * options, write to standard output and error, and return the exit status: 0 good, 1 problems were
 * found, 2 wrong usage.
 */
#ifndef GH_CONFIG_COMMANDS_H
#define GH_CONFIG_COMMANDS_H

int gh_cmd_firewall(int argc, char **argv);    /* gatectl firewall */
int gh_cmd_lint(int argc, char **argv);        /* gatectl lint */
int gh_cmd_simulate(int argc, char **argv);    /* gatectl key-chain simulate */
int gh_cmd_generate(int argc, char **argv);    /* gatectl key-chain generate */
int gh_cmd_peer_config(int argc, char **argv); /* gatectl key-chain peer-config */
int gh_cmd_import(int argc, char **argv);      /* gatectl key-chain import */

#endif
