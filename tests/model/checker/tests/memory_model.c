/* The memory model, by its outcomes: what must be seen, what must not, and that reduction changes
 * neither. Programs as in interpreter.h; conditions are one letter for each register from 0, then
 * "/" and the places x, y, z at the end; "?" is anything. */

#include <stdio.h>

#include "interpreter.h"

enum wanted { SEEN, NEVER };

struct litmus {
    const char *name;
    const char *program;
    const char *condition;
    enum wanted wanted;
};

static const struct litmus tests[] = {
    {"SB relaxed", "Wx.1 Ry.0|Wy.1 Rx.1", "00", SEEN},
    {"SB release acquire", "Wxr1 Rya0|Wyr1 Rxa1", "00", SEEN},
    {"SB seq_cst", "Wxs1 Rys0|Wys1 Rxs1", "00", NEVER},
    {"SB seq_cst, the rest", "Wxs1 Rys0|Wys1 Rxs1", "11", SEEN},
    {"SB one read not seq_cst", "Wxs1 Rya0|Wys1 Rxs1", "00", SEEN},
    {"SB one write not seq_cst", "Wxr1 Rys0|Wys1 Rxs1", "00", SEEN},
    {"SB fences", "Wx.1 Fs Ry.0|Wy.1 Fs Rx.1", "00", NEVER},
    {"SB one fence", "Wx.1 Fs Ry.0|Wy.1 Rx.1", "00", SEEN},
    {"SB acq_rel fences", "Wx.1 Fb Ry.0|Wy.1 Fb Rx.1", "00", SEEN},
    {"SB fence and seq_cst", "Wx.1 Fs Ry.0|Wys1 Rxs1", "00", NEVER},
    {"SB light heavy", "Wx.1 L Ry.0|Wy.1 H Rx.1", "00", NEVER},
    {"SB light heavy, the rest", "Wx.1 L Ry.0|Wy.1 H Rx.1", "01", SEEN},
    {"SB light light", "Wx.1 L Ry.0|Wy.1 L Rx.1", "00", SEEN},
    {"SB light full", "Wx.1 L Ry.0|Wy.1 Fs Rx.1", "00", SEEN},
    {"SB heavy heavy", "Wx.1 H Ry.0|Wy.1 H Rx.1", "00", NEVER},
    {"SB heavy alone", "Wx.1 Ry.0|Wy.1 H Rx.1", "00", SEEN},
    {"SB light light heavy", "Wx.1 L Ry.0|Wy.1 L Rz.1|Wz.1 H Rx.2", "000", SEEN},
    {"SB updates in between", "Wx.1 Azb2 Ry.0|Wy.1 Azb3 Rx.1", "00", NEVER},
    {"SB relaxed updates in between", "Wx.1 Az.2 Ry.0|Wy.1 Az.3 Rx.1", "00", SEEN},
    {"MP relaxed", "Wx.1 Wy.1|Ry.0 Rx.1", "10", SEEN},
    {"MP release acquire", "Wx.1 Wyr1|Rya0 Rx.1", "10", NEVER},
    {"MP release acquire, the rest", "Wx.1 Wyr1|Rya0 Rx.1", "01", SEEN},
    {"MP release relaxed", "Wx.1 Wyr1|Ry.0 Rx.1", "10", SEEN},
    {"MP relaxed acquire", "Wx.1 Wy.1|Rya0 Rx.1", "10", SEEN},
    {"MP seq_cst", "Wxs1 Wys1|Rys0 Rxs1", "10", NEVER},
    {"MP fences", "Wx.1 Fr Wy.1|Ry.0 Fa Rx.1", "10", NEVER},
    {"MP no release fence", "Wx.1 Wy.1|Ry.0 Fa Rx.1", "10", SEEN},
    {"MP no acquire fence", "Wx.1 Fr Wy.1|Ry.0 Rx.1", "10", SEEN},
    {"MP fence and acquire", "Wx.1 Fr Wy.1|Rya0 Rx.1", "10", NEVER},
    {"MP release and fence", "Wx.1 Wyr1|Ry.0 Fa Rx.1", "10", NEVER},
    {"MP fences the wrong way round", "Wx.1 Fa Wy.1|Ry.0 Fr Rx.1", "10", SEEN},
    {"MP light fences do not publish", "Wx.1 L Wy.1|Ry.0 L Rx.1", "10", SEEN},
    {"WRC relaxed", "Wx.1|Rx.0 Wy.1|Ry.1 Rx.2", "110", SEEN},
    {"WRC release acquire", "Wxr1|Rxa0 Wyr1|Rya1 Rx.2", "110", NEVER},
    {"WRC first pair relaxed", "Wx.1|Rx.0 Wyr1|Rya1 Rx.2", "110", NEVER},
    {"WRC second pair relaxed", "Wxr1|Rxa0 Wy.1|Rya1 Rx.2", "110", SEEN},
    {"WRC seq_cst", "Wxs1|Rxs0 Wys1|Rys1 Rxs2", "110", NEVER},
    {"ISA2 relaxed", "Wx.1 Wy.1|Ry.0 Wz.1|Rz.1 Rx.2", "110", SEEN},
    {"ISA2 release acquire", "Wx.1 Wyr1|Rya0 Wzr1|Rza1 Rx.2", "110", NEVER},
    {"ISA2 seq_cst", "Wxs1 Wys1|Rys0 Wzs1|Rzs1 Rxs2", "110", NEVER},
    {"IRIW relaxed", "Wx.1|Wy.1|Rx.0 Ry.1|Ry.2 Rx.3", "1010", SEEN},
    {"IRIW release acquire", "Wxr1|Wyr1|Rxa0 Rya1|Rya2 Rxa3", "1010", SEEN},
    {"IRIW seq_cst", "Wxs1|Wys1|Rxs0 Rys1|Rys2 Rxs3", "1010", NEVER},
    {"IRIW fences", "Wx.1|Wy.1|Rx.0 Fs Ry.1|Ry.2 Fs Rx.3", "1010", NEVER},
    {"IRIW one fence", "Wx.1|Wy.1|Rx.0 Fs Ry.1|Ry.2 Fb Rx.3", "1010", SEEN},
    {"2+2W relaxed", "Wx.1 Wy.2|Wy.1 Wx.2", "/11", SEEN},
    {"2+2W release", "Wxr1 Wyr2|Wyr1 Wxr2", "/11", SEEN},
    {"2+2W seq_cst", "Wxs1 Wys2|Wys1 Wxs2", "/11", NEVER},
    {"2+2W fences", "Wx.1 Fs Wy.2|Wy.1 Fs Wx.2", "/11", NEVER},
    {"R relaxed", "Wx.1 Wy.1|Wy.2 Rx.0", "0/?2", SEEN},
    {"R fences", "Wx.1 Fs Wy.1|Wy.2 Fs Rx.0", "0/?2", NEVER},
    {"S release acquire", "Wx.2 Wyr1|Rya0 Wx.1", "1/2", NEVER},
    {"S relaxed", "Wx.2 Wy.1|Ry.0 Wx.1", "1/2", SEEN},
    {"LB relaxed: never by RC11", "Rx.0 Wy.1|Ry.1 Wx.1", "11", NEVER},
    {"LB acquire release", "Rxa0 Wyr1|Rya1 Wxr1", "11", NEVER},
    {"CoRR", "Wx.1|Rx.0 Rx.1", "10", NEVER},
    {"CoRR, the rest", "Wx.1|Rx.0 Rx.1", "01", SEEN},
    {"CoRR two writes", "Wx.1 Wx.2|Rx.0 Rx.1", "21", NEVER},
    {"CoRR two readers", "Wx.1|Wx.2|Rx.0 Rx.1|Rx.2 Rx.3", "1221", NEVER},
    {"CoWR", "Wx.1 Rx.0|Wx.2", "0", NEVER},
    {"CoWR, overwritten", "Wx.1 Rx.0|Wx.2", "2/2", SEEN},
    {"CoWR, own but old", "Wx.1 Rx.0|Wx.2", "2/1", NEVER},
    {"CoWW", "Wx.1 Wx.2", "/1", NEVER},
    {"CoRW", "Rx.0 Wx.1|Wx.2", "2/2", NEVER},
    {"two adds", "Ax.0|Ax.1", "/1", NEVER},
    {"two adds read differently", "Ax.0|Ax.1", "00", NEVER},
    {"three adds", "Ax.0|Ax.1|Ax.2", "210/3", SEEN},
    {"three adds lost", "Ax.0|Ax.1|Ax.2", "/2", NEVER},
    {"add against write", "Ax.0|Wx.4", "0/1", NEVER},
    {"add before write", "Ax.0|Wx.4", "0/4", SEEN},
    {"add after write", "Ax.0|Wx.4", "4/5", SEEN},
    {"two compare-exchanges", "Cx.0|Cx.1", "00", NEVER},
    {"two compare-exchanges, one fails", "Cx.0|Cx.1", "05", SEEN},
    {"compare-exchange reads old", "Wx.1 Wx.2|Cx.0", "1/2", SEEN},
    {"weak compare-exchange fails alone", "Kx.0", "0/0", SEEN},
    {"strong compare-exchange succeeds alone", "Cx.0", "0/0", NEVER},
    {"release sequence by update", "Wx.1 Wyr1|Ay.0|Rya1 Rx.2", "120", NEVER},
    {"release sequence by two updates", "Wx.1 Wyr1|Ay.0 Ay.1|Rya2 Rx.3", "1230", NEVER},
    {"release sequence by exchange", "Wx.1 Wyr1|Xy.0|Rya1 Rx.2", "170", NEVER},
    {"no release sequence by own write", "Wx.1 Wyr1 Wy.2|Rya0 Rx.1", "20", SEEN},
    {"no release sequence by other's write", "Wx.1 Wyr1|Ry.0 Wy.2|Rya1 Rx.2", "120", SEEN},
    {"release by add", "Wx.1 Ayr0|Aya1 Rx.2", "010", NEVER},
    {"relaxed add", "Wx.1 Ay.0|Ay.1 Rx.2", "010", SEEN},
    {"failed compare-exchange acquires", "Wx.1 Wyr1|Cyb0 Rx.1", "10", NEVER},
    {"failed compare-exchange relaxed", "Wx.1 Wyr1|Cyr0 Rx.1", "10", SEEN},
    {"seq_cst adds order", "Axs0 Rys1|Ays2 Rxs3", "?0?0", NEVER},
    {"RWC fences", "Wx.1|Rx.0 Fs Ry.1|Wy.1 Fs Rx.2", "100", NEVER},
    {"RWC one fence", "Wx.1|Rxa0 Ry.1|Wy.1 Fs Rx.2", "100", SEEN},
    {"W+RWC", "Wx.1 Wzr1|Rza0 Fs Ry.1|Wy.1 Fs Rx.2", "100", NEVER},
    {"Z6.U: seq_cst writes only", "Wxs1 Wyr1|Ays0 Ry.1|Wys3 Rxs2", "120/?3", SEEN},
};

static bool matches(const char *condition, uint64_t outcome)
{
    int part = 0;
    for (; *condition != '\0'; condition++) {
        if (*condition == '/') {
            part = REGISTERS;
            continue;
        }
        if (*condition != '?' && part_of(outcome, part) != *condition - '0')
            return false;
        part++;
    }
    return true;
}

static bool is_in(const char *condition, const struct mc_set *outcomes)
{
    for (size_t i = 0; i < outcomes->capacity; i++)
        if (outcomes->number[i] != 0 && matches(condition, outcomes->number[i]))
            return true;
    return false;
}

static bool check(const struct litmus *test)
{
    struct mc_result reduced, all;
    run_program(test->program, MC_EXHAUSTIVE, &reduced);
    run_program(test->program, MC_UNREDUCED, &all);
    bool seen = is_in(test->condition, &reduced.outcomes);
    bool right = seen == (test->wanted == SEEN) && reduced.error == MC_NO_ERROR;
    bool same = mc_set_equal(&reduced.outcomes, &all.outcomes) &&
                mc_set_equal(&reduced.graphs, &all.graphs);
    bool once = reduced.graphs.count == reduced.complete;
    printf("%-42s %-5s %4lu of %7lu %s%s%s\n", test->name, seen ? "seen" : "never",
           reduced.complete, all.complete, right ? "ok" : "WRONG",
           same ? "" : ", reduction LOSES executions", once ? "" : ", executions are REPEATED");
    mc_result_free(&reduced);
    mc_result_free(&all);
    return right && same && once;
}

int main(void)
{
    int failed = 0, count = (int)(sizeof tests / sizeof tests[0]);
    for (int i = 0; i < count; i++)
        failed += !check(&tests[i]);
    printf("litmus: %d of %d ok\n", count - failed, count);
    return failed == 0 ? 0 : 1;
}
