# The configurations that are checked: see each harness for its macros.

fletch_add_model(agent_reply give_up)
fletch_add_model(agent_reply give_up_late DEFINES TRIES=2)
fletch_add_model(agent_reply again DEFINES REQUESTS=2 ARGS --no-spurious)
fletch_add_model(agent_reply two_askers DEFINES ASKERS=2 ARGS --no-spurious)
fletch_add_model(agent_reply park DEFINES TRIES=0)

fletch_add_model(connection_pool share ARGS --no-spurious)
fletch_add_model(connection_pool together DEFINES TOGETHER=1 SLOTS=1 ARGS --no-spurious)
fletch_add_model(connection_pool collide DEFINES PLAN=COLLIDE ARGS --no-spurious)
fletch_add_model(connection_pool collide_evict DEFINES PLAN=COLLIDE SLOTS=1 ARGS --no-spurious)
fletch_add_model(connection_pool collide_before DEFINES PLAN=COLLIDE BEFORE=1 SLOTS=1
                 ARGS --no-spurious --random 1 20000)
fletch_add_model(connection_pool evict DEFINES PLAN=EVICT SLOTS=1 ARGS --no-spurious)
fletch_add_model(connection_pool idle DEFINES PLAN=IDLE USERS=1 TURNS=2 ARGS --no-spurious)
fletch_add_model(connection_pool limit DEFINES PLAN=LIMIT SLOTS=1 ARGS --no-spurious)
fletch_add_model(connection_pool limit_holds DEFINES PLAN=LIMIT HOLDS=1 SLOTS=1 ARGS --no-spurious)
fletch_add_model(connection_pool ready DEFINES PLAN=READY USERS=1 ARGS --no-spurious)
fletch_add_model(connection_pool spread DEFINES PLAN=SPREAD ARGS --no-spurious)
fletch_add_model(connection_pool steal DEFINES PLAN=STEAL USERS=1 SLOTS=1 ARGS --no-spurious)
fletch_add_model(connection_pool ask DEFINES PLAN=ASK USERS=1 SLOTS=1 ARGS --no-spurious)
fletch_add_model(connection_pool ask_twice DEFINES PLAN=ASK ANSWERS=2 USERS=1 SLOTS=1
                 ARGS --no-spurious --random 1 20000)
fletch_add_model(connection_pool ask_and_join DEFINES PLAN=ASK SLOTS=1
                 ARGS --no-spurious --random 1 20000)
fletch_add_model(connection_pool ask_twins DEFINES PLAN=ASK ANSWERS=2 TWINS=1 SLOTS=1
                 ARGS --no-spurious --random 1 20000)
fletch_add_model(connection_pool three DEFINES USERS=3 ARGS --no-spurious --random 1 20000)
fletch_add_model(connection_pool three_long DEFINES USERS=3 PLAN=EVICT
                 ARGS --no-spurious --random 2 2000000 DEEP)

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

fletch_add_model(fan_in 1x1 DEFINES PRODUCERS=1)
fletch_add_model(fan_in 1x2_capacity_1 DEFINES PRODUCERS=1 ITEMS=2 CAPACITY=1)
fletch_add_model(fan_in 2x1)
fletch_add_model(fan_in 2x1_cursor DEFINES FORM=FLETCH_RING_CURSOR)
fletch_add_model(fan_in close DEFINES PRODUCERS=1 CLOSES=1)
fletch_add_model(fan_in close_2_producers DEFINES CLOSES=1 ARGS --random 1 20000 --no-spurious)
fletch_add_model(fan_in close_2_producers_long DEFINES CLOSES=1
                 ARGS --random 2 2000000 --no-spurious DEEP)
fletch_add_model(fan_in close_meanwhile DEFINES PRODUCERS=1 LIVES=1 CLOSES=2)
fletch_add_model(fan_in reuse DEFINES PRODUCERS=1 LIVES=2 ARGS --random 1 20000 --no-spurious)
fletch_add_model(fan_in reuse_2_producers DEFINES LANES=1 LIVES=1
                 ARGS --random 1 20000 --no-spurious)
fletch_add_model(fan_in reuse_2_producers_long DEFINES LANES=1 LIVES=2
                 ARGS --random 2 2000000 --no-spurious DEEP)
fletch_add_model(fan_in hold DEFINES PRODUCERS=1 ITEMS=2 HOLDS=1)
fletch_add_model(fan_in cancel DEFINES PRODUCERS=1 ITEMS=2 CAPACITY=1 CANCELS=1 LEAVES=1)
fletch_add_model(fan_in park DEFINES PARK=1 PRODUCERS=1)
fletch_add_model(fan_in park_full_fences DEFINES PARK=1 PRODUCERS=1 ARGS --full-fences)
fletch_add_model(fan_in park_close DEFINES PARK=1 PRODUCERS=1 CLOSES=1)
fletch_add_model(fan_in park_2_items DEFINES PARK=1 PRODUCERS=1 ITEMS=2 CAPACITY=1
                 ARGS --no-spurious --full-fences)

fletch_add_model(broadcast_ring 1x1)
fletch_add_model(broadcast_ring 1x1_laps DEFINES ITEMS=3)
fletch_add_model(broadcast_ring 1x1_short DEFINES CAPACITY=4)
fletch_add_model(broadcast_ring 1x1_cursor DEFINES FORM=FLETCH_RING_CURSOR)
fletch_add_model(broadcast_ring 1x2 DEFINES STAYS=2 TRIES=3 POPS=3)
fletch_add_model(broadcast_ring batch DEFINES ITEMS=4 BATCH=2 CAPACITY=2 TRIES=3 POPS=3)
fletch_add_model(broadcast_ring batch_cursor DEFINES ITEMS=4 BATCH=2 CAPACITY=2 TRIES=3 POPS=3
                 FORM=FLETCH_RING_CURSOR)
fletch_add_model(broadcast_ring close DEFINES CLOSES=1)
fletch_add_model(broadcast_ring join DEFINES STAYS=0 JOINS=2 ITEMS=3)
fletch_add_model(broadcast_ring join_cursor DEFINES STAYS=0 JOINS=2 ITEMS=3 FORM=FLETCH_RING_CURSOR)
fletch_add_model(broadcast_ring join_beside DEFINES JOINS=1 ITEMS=2 TRIES=2 POPS=2)
fletch_add_model(broadcast_ring leave DEFINES LEAVES=1 ITEMS=3)
fletch_add_model(broadcast_ring leave_beside DEFINES STAYS=2 LEAVES=1 ITEMS=2 TRIES=3 POPS=2)
fletch_add_model(broadcast_ring remove DEFINES REMOVES=1 TRIES=3 POPS=2)
fletch_add_model(broadcast_ring chain DEFINES STAYS=2 CHAIN=1 ITEMS=2 TRIES=2 POPS=2)
fletch_add_model(broadcast_ring chain_short DEFINES STAYS=2 CHAIN=2 CAPACITY=4 TRIES=2 POPS=3)
fletch_add_model(broadcast_ring drops DEFINES DROPS=1 TRIES=3 POPS=3)
fletch_add_model(broadcast_ring 2x1 DEFINES PRODUCERS=2 ITEMS=1 TRIES=2 POPS=2 ARGS --no-spurious)
fletch_add_model(broadcast_ring 2x0 DEFINES PRODUCERS=2 STAYS=0 ITEMS=1 TRIES=2 ARGS --no-spurious)
fletch_add_model(broadcast_ring park DEFINES PARK=1)
fletch_add_model(broadcast_ring park_full_fences DEFINES PARK=1 ARGS --full-fences)
fletch_add_model(broadcast_ring park_leave DEFINES PARK=1 LEAVES=1 ITEMS=2 ARGS --full-fences)
fletch_add_model(broadcast_ring park_chain DEFINES PARK=1 STAYS=2 CHAIN=1 ITEMS=1
                 ARGS --full-fences)
fletch_add_model(broadcast_ring park_drops DEFINES PARK=1 DROPS=1 ARGS --full-fences)
fletch_add_model(broadcast_ring park_remove DEFINES PARK=1 REMOVES=1 ARGS --random 1 100000)
fletch_add_model(broadcast_ring remove_drops DEFINES REMOVES=1 DROPS=1 ARGS --random 1 20000)
fletch_add_model(broadcast_ring remove_drops_long DEFINES REMOVES=1 DROPS=1 DEEP)
fletch_add_model(broadcast_ring reseat DEFINES LEAVES=1 JOINS=1 RESEATS=1 ITEMS=1)
fletch_add_model(broadcast_ring join_drops DEFINES STAYS=0 JOINS=2 DROPS=1 TRIES=3)
fletch_add_model(broadcast_ring two_leave DEFINES STAYS=2 LEAVES=1 JOINS=1 ITEMS=2 TRIES=2 POPS=1
                 ARGS --random 1 100000)
fletch_add_model(broadcast_ring 2x1_long DEFINES PRODUCERS=2 ITEMS=2 STAYS=1
                 ARGS --random 2 5000000 DEEP)
fletch_add_model(broadcast_ring join_long DEFINES JOINS=2 ITEMS=3 CAPACITY=2 DROPS=1
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

fletch_add_model(node_stack 2x1)
fletch_add_model(node_stack 2x2 DEFINES NODES=2 TAKES=2 ARGS --no-spurious)
fletch_add_model(node_stack give_back DEFINES TAKERS=2 GIVES_BACK=1 ARGS --no-spurious)
fletch_add_model(node_stack close DEFINES CLOSES=1)

fletch_add_model(shared 2)
fletch_add_model(shared 3 DEFINES THREADS=3)
fletch_add_model(shared acquire DEFINES ACQUIRES=1)

fletch_add_model(buffer_pool return DEFINES BUFFERS=2)
fletch_add_model(buffer_pool return_2 DEFINES BUFFERS=2 ROUNDS=2 HOLD=1)
fletch_add_model(buffer_pool outgoing DEFINES BUFFERS=2 OTHER_CACHE=1)
fletch_add_model(buffer_pool open DEFINES OTHER_CACHE=2 DEPOT=1 ROUNDS=0 ARGS --no-spurious)
fletch_add_model(buffer_pool shared DEFINES SHARED=1)
fletch_add_model(buffer_pool close DEFINES BUFFERS=2 CLOSES=1)
fletch_add_model(buffer_pool depot DEFINES BUFFERS=0 ROUNDS=2 HOLD=1 DEPOT=1 ARGS --no-spurious)
fletch_add_model(buffer_pool reopen DEFINES BUFFERS=1 CLOSES=1 DEPOT=1 ARGS --no-spurious)
fletch_add_model(buffer_pool trim DEFINES BUFFERS=0 ROUNDS=2 HOLD=1 CLOSES=1 TRIM=1
                 ARGS --no-spurious)
fletch_add_model(buffer_pool trim_twice DEFINES BUFFERS=0 ROUNDS=2 HOLD=1 CLOSES=1 TRIM=2
                 ARGS --no-spurious)

fletch_add_model(budget reserve)
fletch_add_model(budget steps DEFINES STEP=1 LIMIT=2)
fletch_add_model(budget close DEFINES CLOSES=1 LIMIT=10)
fletch_add_model(budget close_steps DEFINES CLOSES=1 STEP=1 LIMIT=10)
fletch_add_model(budget visit DEFINES VISITS=1)
fletch_add_model(budget wait_steps DEFINES WAITS=1 STEP=1 STEPPED=1 ARGS --no-spurious)
fletch_add_model(budget transfer DEFINES TRANSFERS=1)
fletch_add_model(budget wait DEFINES WAITS=1 ARGS --no-spurious)
fletch_add_model(budget wait_refused DEFINES REFUSES=1 LIMIT=2 ARGS --no-spurious)
fletch_add_model(budget wait_stock DEFINES WAITS=1 KEEPS=1 STEP=1 STEPPED=1 LIMIT=2
                 ARGS --no-spurious)
fletch_add_model(budget places DEFINES PLACES=1)
fletch_add_model(budget passes DEFINES PASSES=1 LIMIT=2 ARGS --no-spurious)
fletch_add_model(budget gives_up DEFINES GIVES_UP=1 LIMIT=2 ARGS --no-spurious)
fletch_add_model(budget turns DEFINES TURNS=1 LIMIT=2 ARGS --no-spurious --random 1 20000)

fletch_add_model(epoch 1x1)
fletch_add_model(epoch 1x1_full_fences ARGS --full-fences)
fletch_add_model(epoch 1x2 DEFINES REPLACES=2)
fletch_add_model(epoch 1x3_merged DEFINES LOOKS=2 REPLACES=3)
fletch_add_model(epoch 2x1 DEFINES READERS=2)
fletch_add_model(epoch nested DEFINES NESTED=1 LOOKS=2)
fletch_add_model(epoch 1x1x1 DEFINES WRITERS=2 ARGS --no-spurious)
fletch_add_model(epoch orphan DEFINES ORPHAN=1 READERS=2 ARGS --no-spurious)
fletch_add_model(epoch orphans DEFINES ORPHAN=1 REPLACES=2 ARGS --no-spurious)
fletch_add_model(epoch opens DEFINES OPENS=1 ARGS --no-spurious)
fletch_add_model(epoch classes DEFINES CLASSES=1)
fletch_add_model(epoch 2x2 DEFINES READERS=2 REPLACES=2 LOOKS=2 ARGS --random 1 100000)
fletch_add_model(epoch 2x2_long DEFINES READERS=2 REPLACES=2 LOOKS=2 ARGS --random 2 5000000 DEEP)

fletch_add_model(partition_store publish DEFINES T1=i0 T2=v0)
fletch_add_model(partition_store insert_insert DEFINES T1=i0 T2=i0)
fletch_add_model(partition_store insert_insert_2_keys DEFINES T1=i0 T2=i1)
fletch_add_model(partition_store insert_remove DEFINES T1=i0 T2=d0v0)
fletch_add_model(partition_store take_take DEFINES PRE=i0 T1=t0 T2=t0 BATCH=1)
fletch_add_model(partition_store take_take_take DEFINES PRE=i0 T1=t0 T2=t0 T3=t0)
fletch_add_model(partition_store replace_get DEFINES PRE=i0 T1=r0 T2=g0 BATCH=1)
fletch_add_model(partition_store replace_replace DEFINES PRE=i0 T1=r0 T2=r0 BATCH=1
                 ARGS --no-spurious)
fletch_add_model(partition_store remove_view DEFINES PRE=i0 T1=d0 T2=v0 BATCH=1)
fletch_add_model(partition_store replace_remove_version DEFINES PRE=i0 T1=r0 T2=c0)
fletch_add_model(partition_store remove_remove_version DEFINES PRE=i0 T1=d0 T2=c0)
fletch_add_model(partition_store wait DEFINES T1=i0 T2=w0)
fletch_add_model(partition_store equal_hashes DEFINES MASK=0 T1=i0 T2=i1)
fletch_add_model(partition_store equal_hashes_remove DEFINES MASK=0 PRE=i0 T1=d0 T2=i1 BATCH=1)
fletch_add_model(partition_store equal_hashes_view DEFINES MASK=0 PRE=i0i1 T1=t0 T2=v1 BATCH=1)
fletch_add_model(partition_store root_view DEFINES PRE=i0i1 T1=i2 T2=v0 TABLES=2)
fletch_add_model(partition_store move_view DEFINES PRE=i0i1i2 T1=d0 T2=v1 TABLES=2)
fletch_add_model(partition_store move_view_moved DEFINES PRE=i0i1i2 T1=d0i0 T2=v0 TABLES=2)
fletch_add_model(partition_store move_scan DEFINES PRE=i0i1i2 T1=d0 T2=s0 TABLES=2)
fletch_add_model(partition_store append_append DEFINES PRE=i0i1 T1=i2 T2=i3 TABLES=2
                 ARGS --no-spurious)
# Two movers at once: all executions of the table by itself, in the smallest sizes; the store around
# it are too many executions to see all of.
fletch_add_model(store_table movers)
fletch_add_model(store_table movers_grow DEFINES GROWS=1 ENTRIES=2)
fletch_add_model(store_table mover_and_writer DEFINES WRITES=1)
fletch_add_model(store_pool 2x1)
fletch_add_model(store_pool stash DEFINES PRE=2 ARGS --no-spurious)
fletch_add_model(store_pool orphans DEFINES ORPHANS=2 PRE=1 ARGS --no-spurious)
fletch_add_model(store_pool trim_kept DEFINES ORPHANS=1 ROUNDS=2 KEEPS=1 ARGS --no-spurious)
fletch_add_model(store_pool trim DEFINES PRE=1 BLOCKS=2 ORPHANS=1 ARGS --no-spurious)
fletch_add_model(partition_store move_insert DEFINES PRE=i0i1i2 T1=d0 T2=i0 TABLES=2
                 ARGS --no-spurious --random 1 20000)
fletch_add_model(partition_store move_take DEFINES PRE=i0i1i2 T1=t0 T2=t0 TABLES=2
                 ARGS --no-spurious --random 1 20000)
fletch_add_model(partition_store move_replace DEFINES PRE=i0i1 T1=i2d0 T2=r1 T3=g1 BATCH=1
                 ARGS --no-spurious --random 1 20000)
fletch_add_model(partition_store move_late_helper DEFINES PRE=i0i1i2 T1=d0 T2=d0i3 T3=v3
                 ARGS --no-spurious --random 1 20000)
fletch_add_model(partition_store move_insert_long DEFINES PRE=i0i1i2 T1=d0i0 T2=i0t0 T3=g0 BATCH=1
                 ARGS --no-spurious --random 2 2000000 DEEP)

# Reduction loses no execution and repeats none (checker/README.md).
fletch_add_model(eventcount 1x1_compared ARGS --compare)
fletch_add_model(eventcount 1x1_timed_compared DEFINES TIMED=1 ARGS --compare)
fletch_add_model(eventcount payload_compared DEFINES PAYLOAD=1 ARGS --compare)
fletch_add_model(inbox 2x1_compared ARGS --compare)

fletch_add_model(serial 2x1)
fletch_add_model(serial 2x2 DEFINES TASKS=2 ARGS --no-spurious)
fletch_add_model(serial 3x1 DEFINES SUBMITTERS=3 ARGS --no-spurious)
fletch_add_model(serial follows DEFINES FOLLOWS=1 ARGS --no-spurious)

# Plans: see model_credit.c.
fletch_add_model(credit submit ARGS --no-spurious)
fletch_add_model(credit submit_lent DEFINES SOURCE=FLETCH_CREDIT_LENT ARGS --no-spurious)
fletch_add_model(credit submit_pool DEFINES SOURCE=FLETCH_CREDIT_POOL ARGS --no-spurious)
fletch_add_model(credit park DEFINES PARK=1 ARGS --no-spurious --full-fences)
fletch_add_model(credit two_back DEFINES PLAN=TWO_BACK ARGS --no-spurious)
fletch_add_model(credit deadline DEFINES PLAN=DEADLINE ARGS --no-spurious)
fletch_add_model(credit again DEFINES PLAN=AGAIN ARGS --no-spurious)
fletch_add_model(credit pass DEFINES PLAN=PASS ARGS --no-spurious)
fletch_add_model(credit try DEFINES PLAN=TRY ARGS --no-spurious)
fletch_add_model(credit lend DEFINES PLAN=LEND ARGS --no-spurious)
fletch_add_model(credit lend_gives DEFINES PLAN=LEND GIVES=1 ARGS --random 1 20000 --no-spurious)
fletch_add_model(credit lend_gives_long DEFINES PLAN=LEND GIVES=1
                 ARGS --random 2 2000000 --no-spurious DEEP)
fletch_add_model(credit drop DEFINES PLAN=DROP ARGS --no-spurious)
fletch_add_model(credit obtain DEFINES PLAN=OBTAIN ARGS --no-spurious)

# Plans: see model_coordinator.c.
fletch_add_model(coordinator answer ARGS --no-spurious)
fletch_add_model(coordinator park DEFINES PARK=1 ARGS --no-spurious --full-fences)
fletch_add_model(coordinator give_up DEFINES PLAN=GIVE_UP ARGS --no-spurious)
fletch_add_model(coordinator drop DEFINES PLAN=DROP ARGS --no-spurious)
fletch_add_model(coordinator give_up_late DEFINES PLAN=GIVE_UP LATE=1 ARGS --no-spurious)
fletch_add_model(coordinator drop_late DEFINES PLAN=DROP LATE=1 ARGS --no-spurious)
fletch_add_model(coordinator pass DEFINES PLAN=PASS ARGS --no-spurious)
fletch_add_model(coordinator tick DEFINES PLAN=TICK ARGS --no-spurious)

fletch_add_model(ready_list attach DEFINES ATTACHES=1)
fletch_add_model(ready_list two_pushers DEFINES PUSHERS=2 OWNED=1 TAKES=1 ARGS --no-spurious)
fletch_add_model(ready_list take DEFINES LETTERS=2 OWNED=1 TAKES=2 ARGS --no-spurious)
fletch_add_model(ready_list park DEFINES OWNED=1 PARK=1 ARGS --no-spurious)
fletch_add_model(ready_list detach DEFINES OWNED=1 TAKES=1 DETACHES=1 ARGS --no-spurious)
fletch_add_model(ready_list reattach DEFINES OWNED=1 DETACHES=1 REATTACHES=1 ARGS --no-spurious)
fletch_add_model(ready_list change DEFINES OWNED=1 DETACHES=1 ATTACHES=1
                 ARGS --random 1 100000 --no-spurious)
fletch_add_model(ready_list change_unpushed DEFINES LETTERS=0 OWNED=1 DETACHES=1 ATTACHES=1
                 ARGS --no-spurious)
fletch_add_model(ready_list cancel DEFINES OWNED=1 CLOSES=1 ARGS --no-spurious)
fletch_add_model(ready_list cancel_take DEFINES LETTERS=0 OWNED=1 DETACHES=1 CLOSES=1
                 ARGS --no-spurious)
fletch_add_model(ready_list cancel_next DEFINES OWNED=1 TAKES=1 CLOSES=1 ARGS --no-spurious)
fletch_add_model(ready_list cancel_park DEFINES OWNED=1 PARK=1 CLOSES=1 ARGS --no-spurious)
fletch_add_model(ready_list cancel_attach DEFINES LETTERS=0 ATTACHES=1 CLOSES=1 ARGS --no-spurious)
fletch_add_model(ready_list cancel_random DEFINES OWNED=1 DETACHES=1 ATTACHES=1 CLOSES=1
                 ARGS --random 1 100000 --no-spurious)
fletch_add_model(ready_list change_long DEFINES PUSHERS=2 OWNED=1 DETACHES=1 ATTACHES=1
                 ARGS --random 2 5000000 --no-spurious DEEP)

foreach(structure IN ITEMS spsc_ring mpsc_queue fan_in inbox eventcount epoch partition_store
                          connection_pool store_pool store_table node_stack shared buffer_pool
                          budget ready_list serial credit coordinator agent_reply)
  fletch_add_model_mutants(${structure})
endforeach()
fletch_add_model_mutants(broadcast_ring EVERY 3)
