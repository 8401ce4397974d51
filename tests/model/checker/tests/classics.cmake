# Programs whose verdict is known.

checker_test(peterson mutual_exclusion.c DEFINES PETERSON)
checker_test(peterson_relaxed mutual_exclusion.c EXPECT race
             DEFINES PETERSON ORDER=memory_order_relaxed)
checker_test(dekker mutual_exclusion.c)
checker_test(dekker_relaxed mutual_exclusion.c EXPECT race
             DEFINES ORDER=memory_order_relaxed)
checker_test(spin_lock spin_lock.c)
checker_test(spin_lock_relaxed spin_lock.c EXPECT race DEFINES LOCK=memory_order_relaxed)
checker_test(spin_unlock_relaxed spin_lock.c EXPECT race DEFINES UNLOCK=memory_order_relaxed)

checker_test(treiber_stack treiber_stack.c)
checker_test(treiber_stack_aba treiber_stack.c EXPECT assertion DEFINES BUG)

checker_test(michael_scott_queue michael_scott_queue.c)
checker_test(michael_scott_queue_no_release michael_scott_queue.c EXPECT race DEFINES BUG=1)
checker_test(michael_scott_queue_early_free michael_scott_queue.c EXPECT use-after-free
             DEFINES BUG=2)

checker_test(sequence_lock sequence_lock.c)
checker_test(sequence_lock_no_acquire_fence sequence_lock.c EXPECT assertion DEFINES BUG=1)
checker_test(sequence_lock_no_release_fence sequence_lock.c EXPECT assertion DEFINES BUG=2)
checker_test(sequence_lock_plain_payload sequence_lock.c EXPECT race DEFINES BUG=3)
checker_test(sequence_lock_relaxed_mark sequence_lock.c EXPECT assertion DEFINES BUG=4)

checker_test(futex_mutex futex_mutex.c)
checker_test(futex_mutex_3_threads futex_mutex.c DEFINES THREADS=3)
checker_test(futex_mutex_unmarked futex_mutex.c EXPECT lost-wakeup DEFINES BUG=1)
checker_test(futex_mutex_no_wake futex_mutex.c EXPECT lost-wakeup DEFINES BUG=2)
checker_test(futex_mutex_relaxed futex_mutex.c EXPECT race DEFINES BUG=3)
checker_test(futex_mutex_blind_sleep futex_mutex.c EXPECT lost-wakeup DEFINES BUG=4)

foreach(name IN ITEMS thread_local_variables mutex plain_initialisation)
  checker_test(${name} errors.c DEFINES MADE=${name})
endforeach()
set(made_errors
    free_while_read=use-after-free use_after_free=use-after-free double_free=double-free
    invalid_free=invalid-free leak=leak out_of_bounds=out-of-bounds
    out_of_bounds_copy=out-of-bounds uninitialised=uninitialised-read
    uninitialised_copy=uninitialised-read mixed_size=mixed-size race_with_atomic=race
    deadlock=deadlock lost_wakeup=lost-wakeup livelock=livelock endless=endless crash=crash
    assertion=assertion)
foreach(made IN LISTS made_errors)
  string(REPLACE "=" ";" made "${made}")
  list(GET made 0 name)
  list(GET made 1 error)
  checker_test(${name} errors.c EXPECT ${error} DEFINES MADE=${name})
endforeach()

# The same bug, found in the other ways.
checker_test(bounded sequence_lock.c DEFINES BUG=1 EXPECT assertion ARGS --preemptions 2)
checker_test(random sequence_lock.c DEFINES BUG=1 EXPECT assertion ARGS --random 1 10000)
checker_test(unreduced sequence_lock.c DEFINES BUG=1 EXPECT assertion ARGS --no-reduction)

# Reduction loses no execution and repeats none, with everything that random programs do not have:
# futexes, mutexes, pauses, plain memory.
foreach(name IN ITEMS mutual_exclusion spin_lock treiber_stack sequence_lock futex_mutex)
  checker_test(${name}_compared ${name}.c ARGS --compare)
endforeach()
checker_test(peterson_compared mutual_exclusion.c DEFINES PETERSON ARGS --compare)
checker_test(mutex_compared errors.c DEFINES MADE=mutex ARGS --compare)
