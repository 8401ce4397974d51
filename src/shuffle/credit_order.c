#include "shuffle/credit_order.h"

#include <stddef.h>

#include "base/random.h"

static uint64_t least_below(const struct fletch_credit_place *place)
{
    return place == NULL ? UINT64_MAX : place->least_need;
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void update(struct fletch_credit_place *place)
{
    place->least_need =
        least_of(place->need, least_of(least_below(place->left), least_below(place->right)));
}

static void update_upwards(struct fletch_credit_place *place)
{
    for (; place != NULL; place = place->parent)
        update(place);
}

/* Where the tree points at `place`. */
static struct fletch_credit_place **link_to(struct fletch_credit_order *order,
                                            struct fletch_credit_place *place)
{
    if (place->parent == NULL)
        return &order->root;
    return place->parent->left == place ? &place->parent->left : &place->parent->right;
}

/* Puts `child` in the place of its parent, which becomes its child. */
static void rotate_up(struct fletch_credit_order *order, struct fletch_credit_place *child)
{
    struct fletch_credit_place *parent = child->parent;
    bool is_left = parent->left == child;
    struct fletch_credit_place *inner = is_left ? child->right : child->left;
    *link_to(order, parent) = child;
    child->parent = parent->parent;
    parent->parent = child;
    if (inner != NULL)
        inner->parent = parent;
    *(is_left ? &child->right : &child->left) = parent;
    *(is_left ? &parent->left : &parent->right) = inner;
    update(parent);
    update(child);
}

void fletch_credit_order_insert(struct fletch_credit_order *order,
                                struct fletch_credit_place *place, uint64_t ticket, uint64_t need)
{
    struct fletch_credit_place *parent = NULL;
    struct fletch_credit_place **link = &order->root;
    while (*link != NULL) {
        parent = *link;
        link = ticket < parent->ticket ? &parent->left : &parent->right;
    }
    /* Tickets follow one another; their priorities must not. */
    struct fletch_random random = fletch_random_from_seed(ticket);
    *place = (struct fletch_credit_place){
        .ticket = ticket, .need = need, .priority = fletch_random_u64(&random), .parent = parent};
    *link = place;
    update_upwards(place);
    while (place->parent != NULL && place->priority > place->parent->priority)
        rotate_up(order, place);
}

void fletch_credit_order_remove(struct fletch_credit_order *order,
                                struct fletch_credit_place *place)
{
    while (place->left != NULL && place->right != NULL)
        rotate_up(order,
                  place->left->priority > place->right->priority ? place->left : place->right);
    struct fletch_credit_place *child = place->left != NULL ? place->left : place->right;
    *link_to(order, place) = child;
    if (child != NULL)
        child->parent = place->parent;
    update_upwards(place->parent);
}

void fletch_credit_order_change(struct fletch_credit_place *place, uint64_t need)
{
    place->need = need;
    update_upwards(place);
}

static bool has_met(const struct fletch_credit_place *place, uint64_t available)
{
    return place != NULL && place->least_need <= available;
}

struct fletch_credit_place *fletch_credit_order_first(const struct fletch_credit_order *order,
                                                      uint64_t available)
{
    struct fletch_credit_place *place = order->root;
    if (!has_met(place, available))
        return NULL;
    for (;;) {
        if (has_met(place->left, available))
            place = place->left;
        else if (place->need <= available)
            return place;
        else
            place = place->right;
    }
}

static struct fletch_credit_place *leftmost(struct fletch_credit_place *place)
{
    while (place != NULL && place->left != NULL)
        place = place->left;
    return place;
}

struct fletch_credit_place *fletch_credit_order_oldest(const struct fletch_credit_order *order)
{
    return leftmost(order->root);
}

struct fletch_credit_place *fletch_credit_order_next(struct fletch_credit_place *place)
{
    if (place->right != NULL)
        return leftmost(place->right);
    while (place->parent != NULL && place->parent->right == place)
        place = place->parent;
    return place->parent;
}
