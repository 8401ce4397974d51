/* Mailboxes and ready lists: pushers, and readers that come, look and go.
 *
 * Every letter that is pushed is handed out once, in its pusher's order, to a reader, to who closes
 * the mailbox, or at last to the harness as one more reader; the reading side has one owner at a
 * time; no reader is left untold.
 *
 * PUSHERS   and LETTERS of each             ATTACHES  a reader comes
 * OWNED     a reader is there from the beginning, and
 *   TAKES     looks so often                DETACHES  leaves, and
 *   PARK      sleeps until all is read        REATTACHES  comes back with a new list
 * CLOSES    somebody cancels: closes the mailbox, and so wakes who sleeps */

#include "shuffle/ready_list.h"

#include <stdlib.h>

#include "harness.h"

#ifndef PUSHERS
#define PUSHERS 1
#endif
#ifndef LETTERS
#define LETTERS 1
#endif
#ifndef OWNED
#define OWNED 0
#endif
#ifndef TAKES
#define TAKES 0
#endif
#ifndef PARK
#define PARK 0
#endif
#ifndef DETACHES
#define DETACHES 0
#endif
#ifndef REATTACHES
#define REATTACHES 0
#endif
#ifndef ATTACHES
#define ATTACHES 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif

struct letter {
    struct fletch_inbox_node node; /* first */
    int pusher;
    int number;
};

enum { OWNER, COMER, CLOSER, MAIN, FIRST_PUSHER, THREADS = FIRST_PUSHER + PUSHERS };

static struct fletch_epoch_domain *domain;
static struct fletch_epoch_reader *readers[THREADS];
static struct fletch_mailbox mailbox;
static struct fletch_ready_list *attached; /* what the mailbox has in the end; NULL: nobody's */
static _Atomic uint32_t cancelled;
static int side;         /* the reading side's: whoever owns the mailbox */
static int ends_of_side; /* how often somebody got it for good */
static bool saw_closed;  /* by the owner, who looked into the mailbox after it was closed */
static int pushed[PUSHERS], read_count[PUSHERS], left[PUSHERS];

static void reclaim(struct fletch_epoch_object *object)
{
    struct fletch_ready_list *list = (struct fletch_ready_list *)(void *)object;
    fletch_eventcount_deinit(&list->eventcount);
    free(list);
}

static struct fletch_ready_list *make_list(void)
{
    struct fletch_ready_list *list =
        aligned_alloc(16, (sizeof(struct fletch_ready_list) + 15) / 16 * 16);
    list->object.reclaim = reclaim;
    fletch_ready_list_init(list);
    return list;
}

static void retire_list(int thread, struct fletch_ready_list *list)
{
    fletch_epoch_retire(readers[thread], &list->object, 1);
}

/* ---- roles ---- */

static void *push(void *argument)
{
    int pusher = (int)(intptr_t)argument;
    for (int number = 0; number < LETTERS; number++) {
        struct letter *letter = malloc(sizeof *letter);
        *letter = (struct letter){.pusher = pusher, .number = number};
        enum fletch_answer answer =
            fletch_mailbox_push(&mailbox, readers[FIRST_PUSHER + pusher], &letter->node);
        harness_assert(answer == FLETCH_DONE || (CLOSES && answer == FLETCH_CLOSED));
        if (answer == FLETCH_CLOSED) {
            free(letter);
            break;
        }
        pushed[pusher]++;
    }
    return NULL;
}

/* Throws the letters of a list away; checks their order, and adds them to `counts`. */
static void burn(struct fletch_inbox_node *node, int *counts)
{
    while (node != NULL) {
        struct letter *letter = (struct letter *)(void *)node;
        node = node->next;
        harness_assert(CLOSES || letter->number == counts[letter->pusher]);
        counts[letter->pusher]++;
        free(letter);
    }
}

static void look(struct fletch_ready_list *list)
{
    struct fletch_inbox_node *node = fletch_ready_list_take(list);
    struct fletch_inbox_list letters;
    if (node == NULL)
        return;
    harness_assert(node == &mailbox.ready && node->next == NULL);
    side++;
    enum fletch_answer answer = fletch_mailbox_take(&mailbox, &letters);
    harness_assert(CLOSES || answer != FLETCH_CLOSED);
    saw_closed |= answer == FLETCH_CLOSED;
    if (answer == FLETCH_DONE)
        burn(letters.first, read_count);
}

static bool has_read_all(void)
{
    int sum = 0;
    for (int i = 0; i < PUSHERS; i++)
        sum += read_count[i];
    return sum == PUSHERS * LETTERS;
}

/* The mailbox of a cancelled shuffle has lost its reader: is its reading side this one's to end? */
static void end_side(void)
{
    if (load_acquire(&cancelled) != 0 && fletch_mailbox_retire(&mailbox)) {
        side++;
        ends_of_side++;
    }
}

static void *own(void *unused)
{
    struct fletch_ready_list *list = attached;
    for (int i = 0; i < TAKES; i++)
        look(list);
    while (PARK && !has_read_all() && !saw_closed) {
        fletch_ready_list_wait(list, FLETCH_NO_TIMEOUT);
        look(list);
    }
    if (!DETACHES)
        return unused;
    side++;
    attached = NULL;
    fletch_mailbox_detach(&mailbox, list, readers[OWNER]);
    if (CLOSES)
        end_side();
    fletch_ready_list_close(list, readers[OWNER]);
    retire_list(OWNER, list);
    if (REATTACHES) {
        list = make_list();
        harness_assert(fletch_mailbox_attach(&mailbox, list, readers[OWNER]));
        side++;
        attached = list;
    }
    return unused;
}

static struct fletch_ready_list *came; /* a comer's list, if it is the mailbox's owner */

static void *come(void *unused)
{
    struct fletch_ready_list *list = make_list();
    came = NULL;
    if (fletch_mailbox_attach(&mailbox, list, readers[COMER])) {
        side++;
        came = list;
    } else {
        fletch_ready_list_close(list, readers[COMER]);
        retire_list(COMER, list);
    }
    return unused;
}

static void *cancel(void *unused)
{
    struct fletch_inbox_list letters;
    store_release(&cancelled, 1);
    if (fletch_mailbox_close(&mailbox, readers[CLOSER], &letters)) {
        side++;
        ends_of_side++;
    }
    burn(letters.first, left);
    return unused;
}

/* ---- the end ---- */

/* Whoever owns the mailbox now, or the harness, reads the rest. */
static void read_rest(void)
{
    struct fletch_ready_list *list = came != NULL ? came : attached;
    if (list == NULL && !CLOSES) {
        list = make_list();
        harness_assert(fletch_mailbox_attach(&mailbox, list, readers[MAIN]));
    }
    /* Who is there when it is cancelled is told, or takes the reading side to its end. */
    if (CLOSES)
        harness_assert(list == NULL
                           ? ends_of_side == 1
                           : ends_of_side == 0 && (saw_closed || fletch_ready_list_has_any(list)));
    if (list == NULL)
        return;
    harness_assert(fletch_mailbox_has_owner(&mailbox));
    look(list);
    harness_assert(!fletch_ready_list_has_any(list));
    fletch_mailbox_detach(&mailbox, list, readers[MAIN]);
    fletch_ready_list_close(list, readers[MAIN]);
    retire_list(MAIN, list);
}

static void start(void)
{
    const struct fletch_epoch_options options = {.struct_size = sizeof options, .batch_objects = 1};
    harness_assert(fletch_epoch_domain_create(&options, NULL, &domain, NULL) == FLETCH_OK);
    for (int i = 0; i < THREADS; i++)
        harness_assert(fletch_epoch_reader_open(domain, &readers[i], NULL) == FLETCH_OK);
    fletch_mailbox_init(&mailbox);
    atomic_init(&cancelled, 0);
    side = ends_of_side = 0;
    saw_closed = false;
    came = attached = NULL;
    for (int i = 0; i < PUSHERS; i++)
        pushed[i] = read_count[i] = left[i] = 0;
    if (OWNED) {
        attached = make_list();
        harness_assert(fletch_mailbox_attach(&mailbox, attached, readers[MAIN]));
        look(attached); /* the announcement of the attaching */
    }
}

void harness(void)
{
    struct harness_thread owner, comer, closer, pushers[PUSHERS];
    start();
    for (int i = 0; i < PUSHERS; i++)
        harness_start(&pushers[i], push, (void *)(intptr_t)i);
    if (OWNED && (TAKES > 0 || PARK || DETACHES))
        harness_start(&owner, own, NULL);
    if (ATTACHES)
        harness_start(&comer, come, NULL);
    if (CLOSES)
        harness_start(&closer, cancel, NULL);
    for (int i = 0; i < PUSHERS; i++)
        harness_join(&pushers[i]);
    if (OWNED && (TAKES > 0 || PARK || DETACHES))
        harness_join(&owner);
    if (ATTACHES)
        harness_join(&comer);
    if (CLOSES)
        harness_join(&closer);
    read_rest();
    for (int i = 0; i < PUSHERS; i++)
        harness_assert(read_count[i] + left[i] == pushed[i]);
    for (int i = 0; i < THREADS; i++)
        fletch_epoch_reader_close(readers[i]);
    fletch_epoch_domain_destroy(domain);
}
