#include <fletching/answer.h>

#include <stddef.h>

static const char *const answer_names[] = {
    [FLETCH_DONE] = "DONE",     [FLETCH_FULL] = "FULL", [FLETCH_EMPTY] = "EMPTY",
    [FLETCH_CLOSED] = "CLOSED", [FLETCH_HELD] = "HELD",
};

const char *fletch_answer_name(enum fletch_answer answer)
{
    size_t index = (size_t)answer;
    if (index >= sizeof answer_names / sizeof answer_names[0])
        return "not an answer";
    return answer_names[index];
}
