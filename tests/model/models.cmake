# The configurations that are checked: see each harness for its macros.

fletch_add_model(spsc_ring slot)
fletch_add_model(spsc_ring slot_capacity_1 DEFINES CAPACITY=1)
fletch_add_model(spsc_ring slot_4_items DEFINES ITEMS=4)
fletch_add_model(spsc_ring slot_capacity_4 DEFINES CAPACITY=4 ITEMS=6)
fletch_add_model(spsc_ring slot_4_words DEFINES WORDS=4)
fletch_add_model(spsc_ring slot_4_words_capacity_1 DEFINES WORDS=4 CAPACITY=1)
fletch_add_model(spsc_ring cursor DEFINES FORM=FLETCH_RING_CURSOR)
fletch_add_model(spsc_ring slot_batch DEFINES BATCH=2)
fletch_add_model(spsc_ring cursor_batch DEFINES BATCH=2 FORM=FLETCH_RING_CURSOR)
fletch_add_model(spsc_ring slot_close DEFINES CLOSES=1 ITEMS=2)
fletch_add_model(spsc_ring cursor_close DEFINES CLOSES=1 ITEMS=2 FORM=FLETCH_RING_CURSOR)
fletch_add_model(spsc_ring cancel DEFINES CANCELS=1 CAPACITY=1)
fletch_add_model(spsc_ring park DEFINES PARK=1 ITEMS=2 CAPACITY=1)
fletch_add_model(spsc_ring park_full_fences DEFINES PARK=1 ITEMS=2 CAPACITY=1 ARGS --full-fences)
fletch_add_model(spsc_ring park_cursor DEFINES PARK=1 ITEMS=2 CAPACITY=1 FORM=FLETCH_RING_CURSOR
                 ARGS --full-fences)
fletch_add_model(spsc_ring park_close DEFINES PARK=1 ITEMS=1 CAPACITY=1 CLOSES=1)
fletch_add_model(spsc_ring park_cancel DEFINES PARK=1 ITEMS=2 CAPACITY=1 CANCELS=1)
fletch_add_model(spsc_ring park_timeout DEFINES PARK=1 ITEMS=1 CAPACITY=1 TIMEOUT_NS=1000)
fletch_add_model(spsc_ring park_3_items DEFINES PARK=1 ITEMS=3 CAPACITY=1 ARGS --full-fences DEEP)

fletch_add_model(mpsc_queue 2x1)
fletch_add_model(mpsc_queue 2x1_4_words DEFINES WORDS=4)
fletch_add_model(mpsc_queue 2x2 DEFINES ITEMS=2 TRIES=2 POPS=3 ARGS --no-spurious)
fletch_add_model(mpsc_queue 2x2_capacity_1 DEFINES ITEMS=2 TRIES=2 POPS=2 CAPACITY=1
                 ARGS --no-spurious)
fletch_add_model(mpsc_queue 2x2_random DEFINES ITEMS=2 ARGS --random 1 100000)
fletch_add_model(mpsc_queue 3x1 DEFINES PRODUCERS=3 TRIES=1 POPS=2 ARGS --no-spurious)
fletch_add_model(mpsc_queue 3x1_random DEFINES PRODUCERS=3 ARGS --random 1 100000)
fletch_add_model(mpsc_queue 1x3 DEFINES PRODUCERS=1 ITEMS=3 ARGS --no-spurious)
fletch_add_model(mpsc_queue batch DEFINES ITEMS=2 BATCH=2 CAPACITY=4 POP_MANY=2 TRIES=1 POPS=2)
fletch_add_model(mpsc_queue close DEFINES CLOSES=1)
fletch_add_model(mpsc_queue park DEFINES PARK=1 PRODUCERS=1 CAPACITY=1)
fletch_add_model(mpsc_queue park_full_fences DEFINES PARK=1 PRODUCERS=1 ITEMS=2 CAPACITY=1
                 ARGS --no-spurious --full-fences)
fletch_add_model(mpsc_queue park_2_producers DEFINES PARK=1 CAPACITY=1
                 ARGS --random 1 100000 --no-spurious)
fletch_add_model(mpsc_queue 2x2_spurious DEFINES ITEMS=2 TRIES=2 POPS=3 DEEP)
fletch_add_model(mpsc_queue 3x1_random_long DEFINES PRODUCERS=3 ARGS --random 2 5000000 DEEP)
fletch_add_model(mpsc_queue park_2_producers_long DEFINES PARK=1 CAPACITY=1
                 ARGS --random 2 5000000 DEEP)

fletch_add_model(inbox 2x1)
fletch_add_model(inbox 2x2 DEFINES NODES=2 TAKES=2 ARGS --no-spurious)
fletch_add_model(inbox 3x1 DEFINES PRODUCERS=3 TAKES=1 ARGS --no-spurious)
fletch_add_model(inbox close DEFINES CLOSES=1)
fletch_add_model(inbox list_close DEFINES LIST=1 NODES=2 CLOSES=1)
fletch_add_model(inbox park DEFINES PARK=1 PRODUCERS=1 NODES=2)
fletch_add_model(inbox park_2_producers DEFINES PARK=1 ARGS --no-spurious --full-fences)
fletch_add_model(inbox park_close DEFINES PARK=1 PRODUCERS=1 CLOSES=1 ARGS --no-spurious)
fletch_add_model(inbox 2x2_spurious DEFINES NODES=2 TAKES=2 DEEP)
fletch_add_model(inbox park_2_producers_asymmetric DEFINES PARK=1 DEEP)

fletch_add_model(eventcount 1x1)
fletch_add_model(eventcount 1x1_full_fences ARGS --full-fences)
fletch_add_model(eventcount 1x1_timed DEFINES TIMED=1)
fletch_add_model(eventcount 1x2 DEFINES NOTIFIERS=2)
fletch_add_model(eventcount 2x1_at_once DEFINES WAITERS=2 UNITS=2 AT_ONCE=1)
fletch_add_model(eventcount 2x1 DEFINES WAITERS=2 UNITS=2)
fletch_add_model(eventcount payload DEFINES PAYLOAD=1)
fletch_add_model(eventcount armed DEFINES ARMED=1 UNITS=2)
fletch_add_model(eventcount 2_armed DEFINES WAITERS=2 ARMED=2 UNITS=2 AT_ONCE=1
                 ARGS --no-spurious --full-fences)
fletch_add_model(eventcount armed_and_asleep DEFINES WAITERS=2 ARMED=1 UNITS=2 AT_ONCE=1
                 ARGS --no-spurious --full-fences)
fletch_add_model(eventcount 2x1_full_fences DEFINES WAITERS=2 UNITS=2 ARGS --full-fences DEEP)
fletch_add_model(eventcount 2x1_timed DEFINES WAITERS=2 UNITS=2 TIMED=1 DEEP)
fletch_add_model(eventcount 2_armed_2_units_long DEFINES WAITERS=2 ARMED=2 UNITS=2
                 ARGS --random 2 5000000 DEEP)

# Reduction loses no execution and repeats none (checker/README.md).
fletch_add_model(eventcount 1x1_compared ARGS --compare)
fletch_add_model(eventcount 1x1_timed_compared DEFINES TIMED=1 ARGS --compare)
fletch_add_model(eventcount payload_compared DEFINES PAYLOAD=1 ARGS --compare)
fletch_add_model(inbox 2x1_compared ARGS --compare)

foreach(structure IN ITEMS spsc_ring mpsc_queue inbox eventcount)
  fletch_add_model_mutants(${structure})
endforeach()
