import com.lmax.disruptor.BatchEventProcessor;
import com.lmax.disruptor.BatchEventProcessorBuilder;
import com.lmax.disruptor.BusySpinWaitStrategy;
import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.InsufficientCapacityException;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.WaitStrategy;
import com.lmax.disruptor.YieldingWaitStrategy;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jctools.queues.MessagePassingQueue;
import org.jctools.queues.MpscArrayQueue;
import org.jctools.queues.SpscArrayQueue;

/**
 * Rings of Java in a process of their own. Reads orders from standard input, one a line:
 *
 * <pre>ring test capacity batch items</pre>
 *
 * ring: disruptor (tryNext, and looks again), disruptor-next (next, which parks the producer while
 * the ring is full), jctools; test: spsc, mp2, broadcast1, broadcast2 (that many consumers). Moves
 * elements of 24 bytes (two numbers and a check), checks the order of each producer, and answers
 * with one line of JSON. The threads live as long as the process, so that what the compiler has
 * learned stays; who started it pins them, by their names: producer-0, producer-1, consumer-0,
 * consumer-1. In mp2 and broadcast2 threads share a processor: there a thread that finds nothing to
 * do gives it away at every 64th look, and the Disruptor has its yielding strategy; else its
 * spinning one, and its batches by BatchEventProcessor in any case. The compiler learns from all
 * that it has run: give a process orders of one ring and test only.
 */
public final class JavaRings {
    private static final long SALT = 0x9e3779b97f4a7c15L;

    static final class Element {
        long sequence;
        long producer;
        long check;

        void fill(long producer, long sequence) {
            this.sequence = sequence;
            this.producer = producer;
            this.check = sequence ^ SALT;
        }
    }

    /** Each producer's order, and whole elements. */
    static final class Checker {
        private long next0;
        private long next1;
        private long wrong;

        void see(Element element) {
            long next = element.producer == 0 ? next0++ : next1++;
            wrong |= (element.sequence ^ next) | (element.check ^ next ^ SALT);
        }

        long seen() {
            return next0 + next1;
        }
    }

    static final class Order {
        final String ring;
        final int producers;
        final int consumers;
        final boolean broadcasts;
        final int capacity;
        final int batch;
        final long itemsEach;
        final long itemsAll;

        Order(String line) {
            String[] words = line.trim().split("\\s+");
            ring = words[0];
            producers = words[1].equals("mp2") ? 2 : 1;
            consumers = words[1].equals("broadcast2") ? 2 : 1;
            broadcasts = words[1].startsWith("broadcast");
            capacity = Integer.parseInt(words[2]);
            batch = Integer.parseInt(words[3]);
            itemsEach = Long.parseLong(words[4]) / producers / batch * batch;
            itemsAll = itemsEach * producers;
        }

        boolean shares() {
            return producers + consumers > 2;
        }
    }

    private static final class Waiter {
        private final boolean shares;
        private int looks;

        Waiter(Order order) {
            shares = order.shares();
        }

        void again() {
            if (shares && (++looks & 63) == 0) {
                Thread.yield();
            } else {
                Thread.onSpinWait();
            }
        }
    }

    /** A thread that does one piece of work after the other. */
    private static final class Worker {
        private final SynchronousQueue<Runnable> work = new SynchronousQueue<>();

        Worker(String name) {
            Thread thread = new Thread(() -> {
                try {
                    while (true) {
                        work.take().run();
                    }
                } catch (InterruptedException end) {
                    Thread.currentThread().interrupt();
                }
            }, name);
            thread.setDaemon(true);
            thread.start();
        }

        void start(Runnable task) {
            try {
                work.put(task);
            } catch (InterruptedException end) {
                throw new IllegalStateException(end);
            }
        }
    }

    private static final Worker[] PRODUCERS = {new Worker("producer-0"), new Worker("producer-1")};
    private static final Worker[] CONSUMERS = {new Worker("consumer-0"), new Worker("consumer-1")};

    /** Begins together, and the time from then until the last consumer has everything. */
    private static final class Race {
        private final Order order;
        private final int parties;
        private final AtomicInteger arrived = new AtomicInteger();
        private final AtomicLong startNs = new AtomicLong(Long.MAX_VALUE);
        private final AtomicLong endNs = new AtomicLong(Long.MIN_VALUE);
        private final CountDownLatch through;
        private volatile boolean right = true;

        Race(Order order) {
            this.order = order;
            parties = order.producers + order.consumers;
            through = new CountDownLatch(order.consumers);
        }

        /** Each thread calls it once, and then works. */
        void begin() {
            arrived.incrementAndGet();
            while (arrived.get() < parties) {
                Thread.yield();
            }
            startNs.accumulateAndGet(System.nanoTime(), Math::min);
        }

        void end(Checker checker) {
            endNs.accumulateAndGet(System.nanoTime(), Math::max);
            if (checker.wrong != 0 || checker.seen() != order.itemsAll) {
                right = false;
            }
            through.countDown();
        }

        String await() throws InterruptedException {
            through.await();
            double seconds = (endNs.get() - startNs.get()) * 1e-9;
            return String.format(Locale.ROOT, "{\"items_per_second\": %.1f, \"right\": %b}",
                    order.itemsAll / seconds, right);
        }
    }

    // ---- the Disruptor ----

    private static long claim(RingBuffer<Element> ring, Order order, Waiter waiter) {
        if (order.ring.equals("disruptor-next")) {
            return order.batch == 1 ? ring.next() : ring.next(order.batch);
        }
        while (true) {
            try {
                return order.batch == 1 ? ring.tryNext() : ring.tryNext(order.batch);
            } catch (InsufficientCapacityException full) {
                waiter.again();
            }
        }
    }

    private static void publish(RingBuffer<Element> ring, Order order, int producer) {
        Waiter waiter = new Waiter(order);
        for (long done = 0; done < order.itemsEach;) {
            long high = claim(ring, order, waiter);
            long low = high - order.batch + 1;
            for (long at = low; at <= high; at++) {
                ring.get(at).fill(producer, done++);
            }
            if (order.batch == 1) {
                ring.publish(high);
            } else {
                ring.publish(low, high);
            }
        }
    }

    private static String runDisruptor(Order order) throws InterruptedException {
        WaitStrategy wait =
                order.shares() ? new YieldingWaitStrategy() : new BusySpinWaitStrategy();
        int size = Integer.highestOneBit(order.capacity * order.producers);
        RingBuffer<Element> ring = order.producers == 1
                ? RingBuffer.createSingleProducer(Element::new, size, wait)
                : RingBuffer.createMultiProducer(Element::new, size, wait);
        Race race = new Race(order);
        BatchEventProcessor<?>[] processors = new BatchEventProcessor<?>[order.consumers];
        CountDownLatch halted = new CountDownLatch(order.consumers);
        for (int i = 0; i < order.consumers; i++) {
            Checker checker = new Checker();
            EventHandler<Element> handler = (element, sequence, endOfBatch) -> {
                checker.see(element);
                if (checker.seen() == order.itemsAll) {
                    race.end(checker);
                }
            };
            BatchEventProcessor<Element> processor =
                    new BatchEventProcessorBuilder().build(ring, ring.newBarrier(), handler);
            ring.addGatingSequences(processor.getSequence());
            processors[i] = processor;
            CONSUMERS[i].start(() -> {
                race.begin();
                processor.run();
                halted.countDown();
            });
        }
        for (int i = 0; i < order.producers; i++) {
            int producer = i;
            PRODUCERS[i].start(() -> {
                race.begin();
                publish(ring, order, producer);
            });
        }
        String told = race.await();
        for (BatchEventProcessor<?> processor : processors) {
            processor.halt();
        }
        halted.await();
        return told;
    }

    // ---- JCTools: references travel; the elements are reused in turn ----

    /** As many as can be on their way, and no more: they take part of the caches. */
    private static Element[] elementsFor(Order order) {
        int capacity = order.capacity * order.producers;
        Element[] elements = new Element[capacity + 2 * order.batch];
        for (int i = 0; i < elements.length; i++) {
            elements[i] = new Element();
        }
        return elements;
    }

    /** Fills one element after the other. */
    private static final class Source implements MessagePassingQueue.Supplier<Element> {
        private final Element[] elements;
        private final int producer;
        private long done;
        private int at;

        Source(Element[] elements, int producer) {
            this.elements = elements;
            this.producer = producer;
        }

        @Override
        public Element get() {
            Element element = elements[at];
            at = at + 1 == elements.length ? 0 : at + 1;
            element.fill(producer, done++);
            return element;
        }
    }

    private static void offer(MessagePassingQueue<Element> queue, Order order, Source source) {
        Waiter waiter = new Waiter(order);
        while (source.done < order.itemsEach) {
            if (order.batch > 1) {
                int left = (int) Math.min(order.batch, order.itemsEach - source.done);
                if (queue.fill(source, left) == 0) {
                    waiter.again();
                }
                continue;
            }
            Element element = source.get();
            while (!queue.offer(element)) {
                waiter.again();
            }
        }
    }

    private static void poll(MessagePassingQueue<Element> queue, Order order, Race race) {
        Checker checker = new Checker();
        Waiter waiter = new Waiter(order);
        MessagePassingQueue.Consumer<Element> consumer = checker::see;
        while (checker.seen() < order.itemsAll) {
            if (order.batch > 1) {
                if (queue.drain(consumer, order.batch) == 0) {
                    waiter.again();
                }
                continue;
            }
            Element element = queue.poll();
            if (element == null) {
                waiter.again();
            } else {
                checker.see(element);
            }
        }
        race.end(checker);
    }

    private static String runJctools(Order order) throws InterruptedException {
        int capacity = order.capacity * order.producers;
        MessagePassingQueue<Element> queue = order.producers == 1
                ? new SpscArrayQueue<>(capacity)
                : new MpscArrayQueue<>(capacity);
        Race race = new Race(order);
        CONSUMERS[0].start(() -> {
            race.begin();
            poll(queue, order, race);
        });
        for (int i = 0; i < order.producers; i++) {
            Source source = new Source(elementsFor(order), i);
            PRODUCERS[i].start(() -> {
                race.begin();
                offer(queue, order, source);
            });
        }
        return race.await();
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("ready");
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            Order order = new Order(line);
            if (order.ring.startsWith("disruptor")) {
                System.out.println(runDisruptor(order));
            } else if (order.ring.equals("jctools") && !order.broadcasts) {
                System.out.println(runJctools(order));
            } else {
                System.out.println("{\"items_per_second\": null, \"right\": true}");
            }
            System.out.flush();
        }
    }

    private JavaRings() {
    }
}
