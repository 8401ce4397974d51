import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

import org.apache.arrow.compression.CommonsCompressionFactory;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowFileReader;
import org.apache.arrow.vector.ipc.ArrowFileWriter;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.apache.arrow.vector.ipc.ArrowStreamReader;
import org.apache.arrow.vector.ipc.ArrowStreamWriter;
import org.apache.arrow.vector.ipc.ArrowWriter;
import org.apache.arrow.vector.ipc.JsonFileReader;
import org.apache.arrow.vector.ipc.JsonFileWriter;
import org.apache.arrow.vector.util.Validator;

/**
 * Arrow's reader, writer and comparison of Java as commands, one a line of the input, words
 * separated by tabs; each is answered by a line: "ok", or what went wrong.
 *
 *   VALIDATE file json         the file says what the JSON says
 *   JSON_TO_ARROW json file
 *   ARROW_TO_JSON file json
 *   FILE_TO_STREAM file stream
 *   STREAM_TO_FILE stream file
 */
public final class ArrowInterop {
    private ArrowInterop() {}

    private static void validate(BufferAllocator memory, String path, String told)
            throws IOException {
        try (FileInputStream bytes = new FileInputStream(path);
                ArrowFileReader reader = new ArrowFileReader(
                        bytes.getChannel(), memory, CommonsCompressionFactory.INSTANCE);
                JsonFileReader expected = new JsonFileReader(new File(told), memory)) {
            Validator.compareSchemas(
                    expected.start(), reader.getVectorSchemaRoot().getSchema());
            int batches = 0;
            while (reader.loadNextBatch()) {
                try (VectorSchemaRoot batch = expected.read()) {
                    if (batch == null) {
                        throw new IOException("the JSON has " + batches + " batches, the file more");
                    }
                    Validator.compareVectorSchemaRoot(reader.getVectorSchemaRoot(), batch);
                }
                batches++;
            }
            Validator.compareDictionaryProviders(expected, reader);
            try (VectorSchemaRoot batch = expected.read()) {
                if (batch != null) {
                    throw new IOException("the file has " + batches + " batches, the JSON more");
                }
            }
        }
    }

    private static void toArrow(BufferAllocator memory, String told, String path)
            throws IOException {
        try (JsonFileReader reader = new JsonFileReader(new File(told), memory);
                VectorSchemaRoot batch = VectorSchemaRoot.create(reader.start(), memory);
                FileOutputStream bytes = new FileOutputStream(path);
                ArrowFileWriter writer =
                        new ArrowFileWriter(batch, reader, bytes.getChannel())) {
            writer.start();
            while (reader.read(batch)) {
                writer.writeBatch();
            }
            writer.end();
        }
    }

    private static void toJson(BufferAllocator memory, String path, String told)
            throws IOException {
        try (FileInputStream bytes = new FileInputStream(path);
                ArrowFileReader reader = new ArrowFileReader(
                        bytes.getChannel(), memory, CommonsCompressionFactory.INSTANCE);
                JsonFileWriter writer = new JsonFileWriter(new File(told))) {
            VectorSchemaRoot batch = reader.getVectorSchemaRoot();
            writer.start(batch.getSchema(), reader);
            while (reader.loadNextBatch()) {
                writer.write(batch);
            }
        }
    }

    private static void copy(ArrowReader reader, ArrowWriter writer) throws IOException {
        writer.start();
        while (reader.loadNextBatch()) {
            writer.writeBatch();
        }
        writer.end();
    }

    private static void toStream(BufferAllocator memory, String from, String to)
            throws IOException {
        try (FileInputStream bytes = new FileInputStream(from);
                FileOutputStream taken = new FileOutputStream(to);
                ArrowFileReader reader = new ArrowFileReader(
                        bytes.getChannel(), memory, CommonsCompressionFactory.INSTANCE);
                ArrowStreamWriter writer = new ArrowStreamWriter(
                        reader.getVectorSchemaRoot(), reader, taken.getChannel())) {
            copy(reader, writer);
        }
    }

    private static void toFile(BufferAllocator memory, String from, String to)
            throws IOException {
        try (FileInputStream bytes = new FileInputStream(from);
                FileOutputStream taken = new FileOutputStream(to);
                ArrowStreamReader reader = new ArrowStreamReader(
                        bytes, memory, CommonsCompressionFactory.INSTANCE);
                ArrowFileWriter writer = new ArrowFileWriter(
                        reader.getVectorSchemaRoot(), reader, taken.getChannel())) {
            copy(reader, writer);
        }
    }

    private static void run(BufferAllocator memory, String[] words) throws IOException {
        switch (words[0]) {
            case "VALIDATE": validate(memory, words[1], words[2]); break;
            case "JSON_TO_ARROW": toArrow(memory, words[1], words[2]); break;
            case "ARROW_TO_JSON": toJson(memory, words[1], words[2]); break;
            case "FILE_TO_STREAM": toStream(memory, words[1], words[2]); break;
            case "STREAM_TO_FILE": toFile(memory, words[1], words[2]); break;
            default: throw new IOException("no command '" + words[0] + "'");
        }
    }

    public static void main(String[] words) throws IOException {
        BufferedReader commands = new BufferedReader(
                new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String answer = "ok";
            /* Not closed: what it refuses leaves memory behind in Arrow's own readers. */
            BufferAllocator memory = new RootAllocator();
            try {
                run(memory, line.split("\t"));
            } catch (Exception | LinkageError | AssertionError cause) {
                answer = cause.toString().replaceAll("\\s+", " ");
            }
            System.out.println(answer);
        }
    }
}
