// A producer and a consumer of a shuffle, by arrow-go alone.
//
//	shuffle-peer put host:port shuffle first rows | get host:port shuffle partition
//
// put brings rows k = first, first + 1 … in batches; get prints how many rows a partition has, and
// the sum of their k.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const batchRows = 1000

var schema = arrow.NewSchema([]arrow.Field{
	{Name: "k", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "text", Type: arrow.BinaryTypes.String, Nullable: true},
}, nil)

func batch(first, rows int64) arrow.RecordBatch {
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	for i := first; i < first+rows; i++ {
		builder.Field(0).(*array.Int64Builder).Append(i)
		builder.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("row %d", i))
	}
	return builder.NewRecordBatch()
}

func put(client flight.Client, name string, first, rows int64) error {
	stream, err := client.DoPut(context.Background())
	if err != nil {
		return err
	}
	writer := flight.NewRecordWriter(stream, ipc.WithSchema(schema))
	writer.SetFlightDescriptor(&flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{name}})
	for at := int64(0); at < rows; at += batchRows {
		if err := writer.Write(batch(first+at, min(batchRows, rows-at))); err != nil {
			return err
		}
	}
	if err := errors.Join(writer.Close(), stream.CloseSend()); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func get(client flight.Client, name string, partition int64) error {
	ticket := &flight.Ticket{Ticket: []byte(fmt.Sprintf("%d@%s", partition, name))}
	stream, err := client.DoGet(context.Background(), ticket)
	if err != nil {
		return err
	}
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		return err
	}
	defer reader.Release()
	var rows, sum int64
	for reader.Next() {
		numbers := reader.RecordBatch().Column(0).(*array.Int64)
		rows += int64(numbers.Len())
		for _, number := range numbers.Int64Values() {
			sum += number
		}
	}
	if err := reader.Err(); err != nil {
		return err
	}
	fmt.Printf("{\"rows\": %d, \"sum\": %d}\n", rows, sum)
	return nil
}

func run(words []string) error {
	client, err := flight.NewClientWithMiddleware(words[1], nil, nil,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer client.Close()
	first, err := strconv.ParseInt(words[3], 10, 64)
	if err != nil || words[0] == "get" {
		return errors.Join(err, get(client, words[2], first))
	}
	rows, err := strconv.ParseInt(words[4], 10, 64)
	return errors.Join(err, put(client, words[2], first, rows))
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
