import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import org.apache.arrow.flight.AsyncPutListener;
import org.apache.arrow.flight.CallStatus;
import org.apache.arrow.flight.FlightClient;
import org.apache.arrow.flight.FlightDescriptor;
import org.apache.arrow.flight.FlightEndpoint;
import org.apache.arrow.flight.FlightInfo;
import org.apache.arrow.flight.FlightRuntimeException;
import org.apache.arrow.flight.FlightServer;
import org.apache.arrow.flight.FlightStatusCode;
import org.apache.arrow.flight.FlightStream;
import org.apache.arrow.flight.Location;
import org.apache.arrow.flight.NoOpFlightProducer;
import org.apache.arrow.flight.PutResult;
import org.apache.arrow.flight.SyncPutListener;
import org.apache.arrow.flight.Ticket;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.Float8Vector;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorLoader;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.VectorUnloader;
import org.apache.arrow.vector.ipc.message.ArrowRecordBatch;
import org.apache.arrow.vector.types.pojo.Schema;

/**
 * Arrow's Java library as a peer of Flight: a server that keeps what is put, and a client of the
 * integration server's base case.
 *
 *     FlightPeer server -port=N | client -port N
 */
public final class FlightPeer {
    private static final int LARGE_ROWS = 8 << 20; // of 8 bytes each: 64 MiB

    private FlightPeer() {}

    private static void expect(boolean isSo, String what) {
        if (!isSo) {
            throw new IllegalStateException("expected " + what);
        }
    }

    private static byte[] bytesOf(Object value) {
        return value.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static ArrowBuf bufferOf(BufferAllocator memory, Object value) {
        byte[] bytes = bytesOf(value);
        ArrowBuf buffer = memory.buffer(bytes.length);
        buffer.writeBytes(bytes);
        return buffer;
    }

    private static String textOf(ArrowBuf buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] bytes = new byte[(int) buffer.readableBytes()];
        buffer.getBytes(buffer.readerIndex(), bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    // ---- server ----

    private static final class Kept {
        private final Schema schema;
        private final List<ArrowRecordBatch> batches = Collections.synchronizedList(new ArrayList<>());

        private Kept(Schema schema) {
            this.schema = schema;
        }
    }

    private static final class Producer extends NoOpFlightProducer {
        private final BufferAllocator memory;
        private final Map<String, Kept> flights = new ConcurrentHashMap<>();
        private Location location;

        private Producer(BufferAllocator memory) {
            this.memory = memory;
        }

        private Kept flight(String name) {
            Kept kept = flights.get(name);
            if (kept == null) {
                throw CallStatus.NOT_FOUND.withDescription("NOT_FOUND: no such flight")
                        .toRuntimeException();
            }
            return kept;
        }

        @Override
        public FlightInfo getFlightInfo(CallContext context, FlightDescriptor descriptor) {
            String name = descriptor.getPath().get(0);
            FlightEndpoint endpoint = new FlightEndpoint(new Ticket(bytesOf(name)), location);
            return new FlightInfo(flight(name).schema, descriptor, List.of(endpoint), -1, -1);
        }

        @Override
        public void getStream(CallContext context, Ticket ticket, ServerStreamListener out) {
            Kept kept = flight(new String(ticket.getBytes(), StandardCharsets.UTF_8));
            try (VectorSchemaRoot root = VectorSchemaRoot.create(kept.schema, memory)) {
                VectorLoader loader = new VectorLoader(root);
                out.start(root);
                for (int i = 0; i < kept.batches.size(); i++) {
                    while (!out.isReady() && !out.isCancelled()) {
                        Thread.onSpinWait();
                    }
                    loader.load(kept.batches.get(i));
                    out.putNext(bufferOf(memory, i));
                }
                out.completed();
            }
        }

        @Override
        public Runnable acceptPut(CallContext context, FlightStream in,
                StreamListener<PutResult> answers) {
            return () -> {
                Kept kept = new Kept(in.getSchema());
                VectorUnloader unloader = new VectorUnloader(in.getRoot());
                while (in.next()) {
                    kept.batches.add(unloader.getRecordBatch());
                    ArrowBuf metadata = in.getLatestMetadata();
                    if (metadata != null) {
                        metadata.getReferenceManager().retain();
                        try (PutResult answer = PutResult.metadata(metadata)) {
                            answers.onNext(answer);
                        }
                    }
                }
                flights.put(in.getDescriptor().getPath().get(0), kept);
                answers.onCompleted();
            };
        }

        @Override
        public void doExchange(CallContext context, FlightStream in, ServerStreamListener out) {
            boolean isStarted = false;
            while (in.next()) {
                if (in.hasRoot() && !isStarted) {
                    out.start(in.getRoot());
                    isStarted = true;
                }
                ArrowBuf metadata = in.getLatestMetadata();
                if (metadata != null) {
                    metadata.getReferenceManager().retain();
                }
                if (in.hasRoot()) {
                    out.putNext(metadata);
                } else if (metadata != null) {
                    out.putMetadata(metadata);
                }
            }
            out.completed();
        }
    }

    private static void serve(BufferAllocator memory, int port) throws Exception {
        Producer producer = new Producer(memory);
        FlightServer server = FlightServer.builder(
                memory, Location.forGrpcInsecure("127.0.0.1", port), producer).build().start();
        producer.location = Location.forGrpcInsecure("127.0.0.1", server.getPort());
        System.out.println("Server listening on localhost:" + server.getPort());
        server.awaitTermination();
    }

    // ---- client ----

    private static VectorSchemaRoot rows(BufferAllocator memory, int first, int count) {
        IntVector numbers = new IntVector("number", memory);
        VarCharVector texts = new VarCharVector("text", memory);
        for (int i = 0; i < count; i++) {
            numbers.setSafe(i, first + i);
            if ((first + i) % 7 != 0) {
                texts.setSafe(i, bytesOf("row " + (first + i)));
            }
        }
        numbers.setValueCount(count);
        texts.setValueCount(count);
        return new VectorSchemaRoot(List.of(numbers, texts));
    }

    private static final int[][] BATCHES = {{0, 17}, {17, 0}, {17, 2000}};

    private static void load(BufferAllocator memory, VectorSchemaRoot root, int[] batch) {
        try (VectorSchemaRoot source = rows(memory, batch[0], batch[1]);
                ArrowRecordBatch moved = new VectorUnloader(source).getRecordBatch()) {
            new VectorLoader(root).load(moved);
        }
    }

    private static void put(BufferAllocator memory, FlightClient client, String name)
            throws Exception {
        try (VectorSchemaRoot root = rows(memory, 0, 0);
                SyncPutListener answers = new SyncPutListener()) {
            FlightClient.ClientStreamListener call =
                    client.startPut(FlightDescriptor.path(name), root, answers);
            for (int i = 0; i < BATCHES.length; i++) {
                load(memory, root, BATCHES[i]);
                call.putNext(bufferOf(memory, i));
                try (PutResult answer = answers.read()) {
                    expect(answer != null
                            && textOf(answer.getApplicationMetadata()).equals("" + i), "answer " + i);
                }
            }
            call.completed();
            expect(answers.read() == null, "no more answers");
            call.getResult();
        }
    }

    private static FlightStream open(FlightClient client, String name) {
        FlightInfo info = client.getInfo(FlightDescriptor.path(name));
        expect(info.getEndpoints().size() == 1, "one endpoint");
        return client.getStream(info.getEndpoints().get(0).getTicket());
    }

    private static void compare(BufferAllocator memory, FlightStream stream) {
        for (int i = 0; i < BATCHES.length; i++) {
            expect(stream.next(), "batch " + i);
            try (VectorSchemaRoot wanted = rows(memory, BATCHES[i][0], BATCHES[i][1])) {
                expect(stream.getRoot().equals(wanted), "the rows of batch " + i);
            }
            expect(textOf(stream.getLatestMetadata()).equals("" + i), "number " + i);
        }
        expect(!stream.next(), "no more batches");
    }

    private static void get(BufferAllocator memory, FlightClient client, String name)
            throws Exception {
        try (FlightStream stream = open(client, name)) {
            compare(memory, stream);
        }
    }

    private static void large(BufferAllocator memory, FlightClient client, String name)
            throws Exception {
        try (Float8Vector values = new Float8Vector("value", memory)) {
            values.allocateNew(LARGE_ROWS);
            for (int i = 0; i < LARGE_ROWS; i++) {
                values.set(i, i);
            }
            values.setValueCount(LARGE_ROWS);
            try (VectorSchemaRoot root = new VectorSchemaRoot(List.of(values))) {
                FlightClient.ClientStreamListener call = client.startPut(
                        FlightDescriptor.path(name), root, new AsyncPutListener());
                call.putNext();
                call.completed();
                call.getResult();
            }
        }
        int at = 0;
        try (FlightStream stream = open(client, name)) {
            while (stream.next()) {
                Float8Vector values = (Float8Vector) stream.getRoot().getVector(0);
                for (int i = 0; i < values.getValueCount(); i++) {
                    expect(values.get(i) == at++, "value " + (at - 1));
                }
            }
        }
        expect(at == LARGE_ROWS, "all values");
        try (FlightStream stream = open(client, name)) {
            expect(stream.next(), "a batch");
            stream.cancel("enough", null);
        }
    }

    private static void exchange(BufferAllocator memory, FlightClient client) throws Exception {
        FlightClient.ExchangeReaderWriter call =
                client.doExchange(FlightDescriptor.command(bytesOf("echo")));
        try (VectorSchemaRoot root = rows(memory, 0, 0)) {
            call.getWriter().start(root);
            for (int i = 0; i < BATCHES.length; i++) {
                load(memory, root, BATCHES[i]);
                call.getWriter().putNext(bufferOf(memory, i));
            }
            call.getWriter().completed();
            compare(memory, call.getReader());
        }
        call.close();
    }

    private static void call(BufferAllocator memory, int port) throws Exception {
        Location location = Location.forGrpcInsecure("127.0.0.1", port);
        try (FlightClient client = FlightClient.builder(memory, location).build()) {
            put(memory, client, "java");
            get(memory, client, "java");
            try {
                client.getInfo(FlightDescriptor.path("none"));
                expect(false, "an error");
            } catch (FlightRuntimeException error) {
                expect(error.status().code() == FlightStatusCode.NOT_FOUND
                        && error.getMessage().contains("NOT_FOUND"), "NOT_FOUND, not " + error);
            }
            large(memory, client, "java large");
            get(memory, client, "java");
            exchange(memory, client);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String flags = String.join(" ", arguments);
        int port = Integer.parseInt(flags.substring(Math.max(flags.lastIndexOf('='),
                flags.lastIndexOf(' ')) + 1));
        try (BufferAllocator memory = new RootAllocator()) {
            if (arguments[0].equals("server")) {
                serve(memory, port);
            } else {
                call(memory, port);
            }
        }
        System.exit(0); // threads of netty
    }
}
