/* fletch: shuffles Arrow data, and looks at it. docs/COMMAND.md is the map of this program. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fletching/version.h>

#include "command.h"
#include "terminal.h"

static const struct command commands[] = {
    {"schema", "what columns inputs have", schema_command},
    {"count", "how many rows, batches and bytes", count_command},
    {"cat", "rows as text, JSON or an Arrow stream", cat_command},
    {"shuffle", "rows to partitions, a file for each", shuffle_command},
    {"verify", "whether two sets of inputs have the same rows", verify_command},
    {"where", "which partition a key goes to", where_command},
#ifdef FLETCH_PROGRAM_SERVICE
    {"serve", "the shuffle service: shuffles for other processes", serve_command},
    {"put", "rows to a shuffle of a service", put_command},
    {"get", "partitions of a shuffle of a service", get_command},
    {"ls", "the shuffles of a service", ls_command},
    {"stat", "a shuffle of a service: partitions, who waits", stat_command},
    {"rm", "drops or cancels shuffles of a service", rm_command},
    {"top", "what a service does, live", top_command},
#endif
#ifdef FLETCH_PROGRAM_FLIGHT
    {"flight", "flights of a server: ls, get, put, do", flight_command},
#endif
    {"info", "version, processor, dispatch, limits", info_command},
    {"bench", "how fast the library is on this machine", bench_command},
};
enum { COMMANDS = sizeof commands / sizeof commands[0], INDENT = 6 };

static void print_help(FILE *file)
{
    terminal_print(file,
                   "usage: fletch COMMAND ... | fletch COMMAND --help | fletch --version\n"
                   "\n",
                   0);
    for (size_t i = 0; i < COMMANDS; i++) {
        char line[128];
        snprintf(line, sizeof line, "  %-9s %s\n", commands[i].name, commands[i].summary);
        terminal_print(file, line, INDENT);
    }
    terminal_print(
        file,
        "\n"
        "An INPUT is an Arrow IPC file or stream, a folder (*.arrow, *.arrows, *.ipc and\n"
        "*.feather in it), a pattern in quotes, or - for standard input.\n"
        "\n"
        "Exit codes: 0 done; 1 differs; 2 wrong usage; 3 bad input; 4 the system refused\n"
        "(files, space, memory); 5 a bug; 130 interrupted; 143 terminated.\n",
        INDENT);
}

/* Standard input and outputs that are closed: opened such that reading and writing them fails, so
 * that no file or socket gets their number, and what was meant for them with it. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int word_count, char **words)
{
    hold_standard_descriptors();
    if (word_count < 2) {
        print_help(stderr);
        return OUTCOME_USAGE;
    }
    if (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0 ||
        strcmp(words[1], "help") == 0) {
        print_help(stdout);
        return (int)outcome_flush(OUTCOME_DONE);
    }
    if (strcmp(words[1], "--version") == 0) {
        printf("fletch %s\n", fletch_version());
        return (int)outcome_flush(OUTCOME_DONE);
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(words[1], commands[i].name) == 0)
            return (int)outcome_flush(commands[i].run(words + 2));
    return (int)outcome_tell(OUTCOME_USAGE, "there is no command '%s' (fletch --help)", words[1]);
}
