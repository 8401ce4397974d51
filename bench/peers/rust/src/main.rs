//! Rings of Rust in a process of their own. Reads orders from standard input, one a line:
//!
//!     <ring> <test> <capacity> <batch> <items>
//!
//! ring: rtrb, crossbeam, disruptor; test: spsc (producer on processor 0, consumer on 1), mp2
//! (producers on both, the consumer on 1), broadcast1, broadcast2 (that many consumers, all on 1).
//! Moves elements of 24 bytes, checks the order of each producer, and answers with a line of JSON.
//! In mp2 and broadcast2 threads share a processor: there a thread that finds nothing to do gives
//! it away at every 64th look.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use disruptor::wait_strategies::WaitStrategy;
use disruptor::{BusySpin, ProcessorSettings, Producer, Sequence};

const SALT: u64 = 0x9e3779b97f4a7c15;

#[derive(Clone, Copy, Default)]
struct Element {
    sequence: u64,
    producer: u64,
    check: u64,
}

impl Element {
    fn new(producer: u64, sequence: u64) -> Self {
        Element { sequence, producer, check: sequence ^ SALT }
    }
}

/// Each producer's order, and whole elements.
#[derive(Default)]
struct Checker {
    next: [u64; 2],
    wrong: u64,
}

impl Checker {
    #[inline]
    fn see(&mut self, element: &Element) {
        let next = &mut self.next[(element.producer & 1) as usize];
        self.wrong |= (element.sequence ^ *next) | (element.check ^ *next ^ SALT);
        *next += 1;
    }
    fn seen(&self) -> u64 {
        self.next[0] + self.next[1]
    }
}

#[derive(Clone, Copy)]
struct Order {
    capacity: usize,
    batch: usize,
    items: u64,
    producers: usize,
    consumers: usize,
    broadcasts: bool,
}

impl Order {
    fn shares(&self) -> bool {
        self.producers + self.consumers > 2
    }
    fn items_each(&self) -> u64 {
        self.items / self.producers as u64 / self.batch as u64 * self.batch as u64
    }
    fn items_all(&self) -> u64 {
        self.items_each() * self.producers as u64
    }
}

fn pin(processor: usize) {
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set);
    }
}

struct Waiter {
    shares: bool,
    looks: u32,
}

impl Waiter {
    fn new(order: &Order) -> Self {
        Waiter { shares: order.shares(), looks: 0 }
    }
    #[inline]
    fn again(&mut self) {
        self.looks = self.looks.wrapping_add(1);
        if self.shares && self.looks % 64 == 0 {
            thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

struct Gate {
    arrived: AtomicUsize,
    expected: usize,
}

impl Gate {
    fn new(expected: usize) -> Arc<Self> {
        Arc::new(Gate { arrived: AtomicUsize::new(0), expected })
    }
    fn wait(&self) {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        while self.arrived.load(Ordering::Acquire) < self.expected {
            thread::yield_now();
        }
    }
}

type Outcome = (Duration, bool);

/// Runs producers and one consumer, and times the consumer.
fn stream<P, C>(order: Order, producers: Vec<P>, consumer: C) -> Outcome
where
    P: FnOnce(u64) + Send + 'static,
    C: FnOnce() -> Checker + Send + 'static,
{
    let gate = Gate::new(producers.len() + 1);
    let mut threads = Vec::new();
    for (index, producer) in producers.into_iter().enumerate() {
        let gate = gate.clone();
        threads.push(thread::spawn(move || {
            pin(index);
            gate.wait();
            producer(index as u64);
        }));
    }
    let timed = thread::spawn(move || {
        pin(1);
        gate.wait();
        let start = Instant::now();
        let checker = consumer();
        (start.elapsed(), checker)
    });
    for thread in threads {
        thread.join().unwrap();
    }
    let (elapsed, checker) = timed.join().unwrap();
    (elapsed, checker.wrong == 0 && checker.seen() == order.items_all())
}

fn run_rtrb(order: Order) -> Option<Outcome> {
    if order.producers > 1 || order.broadcasts {
        return None;
    }
    let (mut sender, mut receiver) = rtrb::RingBuffer::<Element>::new(order.capacity);
    for _ in 0..order.capacity {
        /* memory is touched before the clock starts, as the others' is */
        sender.push(Element::default()).unwrap();
        receiver.pop().unwrap();
    }
    let produce = move |producer: u64| {
        let mut waiter = Waiter::new(&order);
        let mut done = 0;
        while done < order.items_each() {
            if order.batch == 1 {
                while sender.push(Element::new(producer, done)).is_err() {
                    waiter.again();
                }
                done += 1;
            } else if let Ok(chunk) = sender.write_chunk_uninit(order.batch) {
                let first = done;
                done += chunk.fill_from_iter(
                    (0..order.batch as u64).map(|i| Element::new(producer, first + i)),
                ) as u64;
            } else {
                waiter.again();
            }
        }
    };
    let consume = move || {
        let mut waiter = Waiter::new(&order);
        let mut checker = Checker::default();
        while checker.seen() < order.items_all() {
            if order.batch == 1 {
                match receiver.pop() {
                    Ok(element) => checker.see(&element),
                    Err(_) => waiter.again(),
                }
            } else if let Ok(chunk) = receiver.read_chunk(order.batch) {
                let (first, second) = chunk.as_slices();
                first.iter().chain(second).for_each(|element| checker.see(element));
                chunk.commit_all();
            } else {
                waiter.again();
            }
        }
        checker
    };
    Some(stream(order, vec![produce], consume))
}

fn run_crossbeam(order: Order) -> Option<Outcome> {
    if order.broadcasts {
        return None;
    }
    let queue = Arc::new(ArrayQueue::<Element>::new(order.capacity * order.producers));
    let mut producers = Vec::new();
    for _ in 0..order.producers {
        let queue = queue.clone();
        producers.push(move |producer: u64| {
            let mut waiter = Waiter::new(&order);
            for sequence in 0..order.items_each() {
                while queue.push(Element::new(producer, sequence)).is_err() {
                    waiter.again();
                }
            }
        });
    }
    let consume = move || {
        let mut waiter = Waiter::new(&order);
        let mut checker = Checker::default();
        while checker.seen() < order.items_all() {
            match queue.pop() {
                Some(element) => checker.see(&element),
                None => waiter.again(),
            }
        }
        checker
    };
    Some(stream(order, producers, consume))
}

/// As Waiter, for the consumers that the crate starts.
#[derive(Clone, Copy)]
struct Yielding;

impl WaitStrategy for Yielding {
    #[inline]
    fn wait_for(&self, sequence: Sequence) {
        let _ = sequence;
        for _ in 0..63 {
            std::hint::spin_loop();
        }
        thread::yield_now();
    }
}

fn publish<P: Producer<Element>>(order: &Order, producer: &mut P, index: u64) {
    let mut waiter = Waiter::new(order);
    let mut done = 0;
    while done < order.items_each() {
        let published = if order.batch == 1 {
            producer.try_publish(|slot| *slot = Element::new(index, done)).is_ok()
        } else {
            producer
                .try_batch_publish(order.batch, |slots| {
                    for (i, slot) in slots.enumerate() {
                        *slot = Element::new(index, done + i as u64);
                    }
                })
                .is_ok()
        };
        if published {
            done += order.batch as u64;
        } else {
            waiter.again();
        }
    }
}

/// What the consumers found, told when the last element came, and when that was.
struct Findings {
    wrong: AtomicU64,
    through: AtomicUsize,
    made: Instant,
    end_ns: AtomicU64,
}

fn handler(order: Order, found: Arc<Findings>) -> impl FnMut(&Element, Sequence, bool) + Send {
    let mut checker = Checker::default();
    move |element: &Element, _: Sequence, _: bool| {
        checker.see(element);
        if checker.seen() == order.items_all() {
            let now_ns = found.made.elapsed().as_nanos() as u64;
            found.end_ns.fetch_max(now_ns, Ordering::SeqCst);
            found.wrong.fetch_or(checker.wrong, Ordering::SeqCst);
            found.through.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The producers' threads, and the wait for the consumers, which run already.
fn race<P>(order: Order, producers: Vec<P>, found: &Findings) -> Outcome
where
    P: Producer<Element> + Send + 'static,
{
    let gate = Gate::new(producers.len());
    let mut threads = Vec::new();
    for (index, mut producer) in producers.into_iter().enumerate() {
        let gate = gate.clone();
        threads.push(thread::spawn(move || {
            pin(index);
            gate.wait();
            let start = Instant::now();
            publish(&order, &mut producer, index as u64);
            start /* and the last producer, dropped, waits until all has been consumed */
        }));
    }
    let starts: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let start = starts.into_iter().min().unwrap();
    let end = found.made + Duration::from_nanos(found.end_ns.load(Ordering::SeqCst));
    let right = found.through.load(Ordering::SeqCst) == order.consumers
        && found.wrong.load(Ordering::SeqCst) == 0;
    (end - start, right)
}

macro_rules! with_consumers {
    ($order:expr, $found:expr, $builder:expr) => {{
        let first = $builder
            .pin_at_core(1)
            .handle_events_with(handler($order, $found.clone()));
        if $order.consumers == 1 {
            race($order, vec![first.build()], &$found)
        } else {
            let both = first
                .pin_at_core(1)
                .handle_events_with(handler($order, $found.clone()));
            race($order, vec![both.build()], &$found)
        }
    }};
}

fn run_disruptor(order: Order) -> Option<Outcome> {
    let found = Arc::new(Findings {
        wrong: AtomicU64::new(0),
        through: AtomicUsize::new(0),
        made: Instant::now(),
        end_ns: AtomicU64::new(0),
    });
    let size = (order.capacity * order.producers).next_power_of_two();
    if order.producers > 1 {
        let first = disruptor::build_multi_producer(size, Element::default, Yielding)
            .pin_at_core(1)
            .handle_events_with(handler(order, found.clone()))
            .build();
        let second = first.clone();
        return Some(race(order, vec![first, second], &found));
    }
    Some(if order.shares() {
        with_consumers!(order, found,
                        disruptor::build_single_producer(size, Element::default, Yielding))
    } else {
        with_consumers!(order, found,
                        disruptor::build_single_producer(size, Element::default, BusySpin))
    })
}

fn order_of(line: &str) -> Option<(String, Order)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (producers, consumers) = match *words.get(1)? {
        "spsc" | "broadcast1" => (1, 1),
        "mp2" => (2, 1),
        "broadcast2" => (1, 2),
        _ => return None,
    };
    Some((words[0].to_string(), Order {
        capacity: words.get(2)?.parse().ok()?,
        batch: words.get(3)?.parse().ok()?,
        items: words.get(4)?.parse().ok()?,
        producers,
        consumers,
        broadcasts: words[1].starts_with("broadcast"),
    }))
}

fn main() {
    for line in std::io::stdin().lock().lines() {
        let Some((ring, order)) = order_of(&line.unwrap()) else {
            eprintln!("rust_rings: not understood");
            std::process::exit(2);
        };
        let outcome = match ring.as_str() {
            "rtrb" => run_rtrb(order),
            "crossbeam" => run_crossbeam(order),
            "disruptor" => run_disruptor(order),
            _ => None,
        };
        match outcome {
            Some((elapsed, right)) => println!(
                "{{\"items_per_second\": {:.1}, \"right\": {}}}",
                order.items_all() as f64 / elapsed.as_secs_f64(),
                right
            ),
            None => println!("{{\"items_per_second\": null, \"right\": true}}"),
        }
        std::io::stdout().flush().unwrap();
    }
}
