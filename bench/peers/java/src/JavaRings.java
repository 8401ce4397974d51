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
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.SynchronousQueue;
import org.jctools.queues.MessagePassingQueue;
import org.jctools.queues.MpscArrayQueue;
import org.jctools.queues.SpscArrayQueue;

/**
 * Rings of Java in a process of their own. Reads orders from standard input, one a line:
 *
 * <pre>ring test capacity batch items</pre>
 *
 * ring: disruptor, jctools; test: spsc, mp2, broadcast1, broadcast2 (that many consumers). Moves
 * elements of 24 bytes (two numbers and a check), checks the order of each producer, and answers
 * with one line of JSON. The threads live as long as the process, so that what the compiler has
 * learned stays; who started it pins them, by their names: producer-0, producer-1, consumer-0,
 * consumer-1. In mp2 and broadcast2 threads share a processor: there a thread that finds nothing to
 * do gives it away at every 64th look, and the Disruptor has its yielding strategy; else its
 * spinning one, and its batches by BatchEventProcessor in any case.
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
        final int capacity;
        final int batch;
        final long itemsEach;
        final long itemsAll;

        Order(String line) {
            String[] words = line.trim().split("\\s+");
            ring = words[0];
            producers = words[1].equals("mp2") ? 2 : 1;
            consumers = words[1].equals("broadcast2") ? 2 : 1;
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
        private final CyclicBarrier gate;
        private final CountDownLatch through;
        private volatile boolean right = true;
        private volatile long startNs;

        Race(Order order, int parties) {
            this.order = order;
            gate = new CyclicBarrier(parties, () -> startNs = System.nanoTime());
            through = new CountDownLatch(order.consumers);
        }

        void begin() {
            try {
                gate.await();
            } catch (Exception broken) {
                throw new IllegalStateException(broken);
            }
        }

        void end(Checker checker) {
            if (checker.wrong != 0 || checker.seen() != order.itemsAll) {
                right = false;
            }
            through.countDown();
        }

        String await() throws InterruptedException {
            through.await();
            double seconds = (System.nanoTime() - startNs) * 1e-9;
            return String.format(Locale.ROOT, "{\"items_per_second\": %.1f, \"right\": %b}",
                    order.itemsAll / seconds, right);
        }
    }

    // ---- the Disruptor ----

    private static void publish(RingBuffer<Element> ring, Order order, int producer) {
        Waiter waiter = new Waiter(order);
        for (long done = 0; done < order.itemsEach;) {
            long high;
            try {
                high = order.batch == 1 ? ring.tryNext() : ring.tryNext(order.batch);
            } catch (InsufficientCapacityException full) {
                waiter.again();
                continue;
            }
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
        Race race = new Race(order, order.producers);
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

    private static Element[] elementsFor(Order order) {
        int capacity = order.capacity * order.producers;
        Element[] elements = new Element[Integer.highestOneBit(capacity) * 4];
        for (int i = 0; i < elements.length; i++) {
            elements[i] = new Element();
        }
        return elements;
    }

    private static void offer(MessagePassingQueue<Element> queue, Order order, int producer,
            Element[] elements) {
        Waiter waiter = new Waiter(order);
        int mask = elements.length - 1;
        long[] done = {0};
        MessagePassingQueue.Supplier<Element> supplier = () -> {
            Element element = elements[(int) done[0] & mask];
            element.fill(producer, done[0]++);
            return element;
        };
        while (done[0] < order.itemsEach) {
            if (order.batch > 1) {
                int left = (int) Math.min(order.batch, order.itemsEach - done[0]);
                if (queue.fill(supplier, left) == 0) {
                    waiter.again();
                }
                continue;
            }
            Element element = supplier.get();
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
        Race race = new Race(order, order.producers + 1);
        CONSUMERS[0].start(() -> {
            race.begin();
            poll(queue, order, race);
        });
        for (int i = 0; i < order.producers; i++) {
            int producer = i;
            Element[] elements = elementsFor(order);
            PRODUCERS[i].start(() -> {
                race.begin();
                offer(queue, order, producer, elements);
            });
        }
        return race.await();
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("ready");
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            Order order = new Order(line);
            if (order.ring.equals("disruptor")) {
                System.out.println(runDisruptor(order));
            } else if (order.ring.equals("jctools") && order.consumers == 1) {
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
