using System.Text;
using Google.Protobuf;
using RabbitMQ.Client;
using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Hosting.Records;
using Serverless.Requests;
using Shouldly;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>Messages that are no requests, and requests of other releases.</summary>
public sealed class PoisonTests(SharedRabbitMq broker) : IAsyncLifetime
{
    private readonly ModelName _model = new("tiny");
    private RabbitMqServer _server = null!;
    private RabbitMqClient _client = null!;
    private RawBroker _raw = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Transient => _client.Link.Topology.Transient(_model);

    private string Durable => _client.Link.Topology.Durable(_model);

    public async ValueTask InitializeAsync()
    {
        _server = await broker.GetAsync();
        _client = new RabbitMqClient(_server, settings: new Dictionary<string, string?> { ["RabbitMq:MaxMessageBytes"] = "4096" });
        _raw = await RawBroker.ConnectAsync(_server, Token);
        await (await _client.Link.SessionAsync(Token)).DeclareAllAsync([_model]);
    }

    public async ValueTask DisposeAsync()
    {
        if (_raw is not null) await _raw.DisposeAsync();
        if (_client is not null) await _client.DisposeAsync();
    }

    [Fact]
    public async Task Every_kind_of_poison_is_a_dead_letter_with_its_reason_and_the_queue_moves_on()
    {
        var request = TestRequests.New(_model);
        (string Name, BasicProperties Properties, byte[] Body, string Says)[] poison =
        [
            Bad("not-json", 1, _ => "{\"a\":"u8.ToArray(), "not JSON"),
            Bad("empty", 1, _ => [], "not JSON"),
            Bad("no-headers", 1, body => body, Envelope.VersionHeader, properties => properties.Headers = null),
            Bad("no-version", 1, body => body, Envelope.VersionHeader, properties => properties.Headers!.Remove(Envelope.VersionHeader)),
            Bad("text-version", 1, body => body, "'x'", properties => properties.Headers![Envelope.VersionHeader] = "x"),
            Bad("zero-version", 2, body => body, "'0'", properties => properties.Headers![Envelope.VersionHeader] = 0),
            Bad("no-record", 1, body => body, Envelope.RecordHeader, properties => properties.Headers!.Remove(Envelope.RecordHeader)),
            Bad("bad-record", 1, body => body, "record", properties => properties.Headers![Envelope.RecordHeader] = new byte[] { 0xFF, 0xFF }),
            Bad("empty-record", 1, body => body, "'id'", properties => properties.Headers![Envelope.RecordHeader] = Array.Empty<byte>()),
            Bad("too-long", 1, _ => Encoding.UTF8.GetBytes($"\"{new string('x', 5000)}\""), "MaxMessageBytes"),
            Bad("2-not-json", 2, body => body[..^1], "not JSON"),
            Bad("2-empty", 2, _ => [], "length of a record"),
            Bad("2-endless-length", 2, _ => [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], "length of a record"),
            Bad("2-cut", 2, body => body[..20], "18 are there"),
            Bad("2-bad-record", 2, _ => [2, 0xFF, 0xFF, .. "{}"u8], "record"),
            Bad("2-empty-record", 2, _ => [0, .. "{}"u8], "'id'"),
            Bad("2-too-long", 2, body => [.. body[..^1], .. new string(' ', 5000).Select(character => (byte)character), (byte)'}'], "MaxMessageBytes"),
            Bad("large-headers", 1, body => body, "'id'", properties =>
            {
                properties.Headers![Envelope.RecordHeader] = Array.Empty<byte>();
                properties.Headers["foreign"] = new string('x', 100_000); // a dead letter of that, with what it says of itself, would be too much for one frame
            }),
        ];
        foreach (var queue in new[] { Transient, Durable })
        {
            foreach (var (name, properties, body, _) in poison)
            {
                properties.MessageId = $"{name}-{queue}";
                await _raw.PublishAsync(queue, properties, body, Token);
            }
        }

        foreach (var promise in new[] { Promise.Connection, Promise.Id }) (await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Promise = promise }, Token)).Fault.ShouldBeNull();
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        for (var requests = 0; requests < 2; requests++)
        {
            (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            await deliveries.Current.CompleteAsync(Token);
        }

        for (var buried = 0; buried < 2 * poison.Length; buried++) await _client.Log.WaitForAsync("is a dead letter");
        var letters = (await _client.Letters.ListAsync(100, Token)).ToDictionary(letter => letter.Id);
        letters.Count.ShouldBe(2 * poison.Length);
        foreach (var queue in new[] { Transient, Durable })
        {
            foreach (var (name, _, body, says) in poison)
            {
                var letter = letters[$"{name}-{queue}"];
                letter.Reason.Error.ShouldBe(ServingError.MalformedMessage, name);
                letter.Reason.Message.ShouldContain(says, Case.Sensitive, name);
                letter.Bytes.ShouldBe(name == "2-too-long" ? request.Body.Length + 5000 : body.Length, name);
                if (letter.Request is null) (await _client.Letters.GetAsync(letter.Id, Token)).ShouldNotBeNull().Body.ToArray().ShouldBe(body, name);
                letter.Attempts.ShouldBe(0);
            }
        }

        (await _client.Queue.DepthAsync(_model, Token)).Requests.ShouldBe(0);

        (string, BasicProperties, byte[], string) Bad(string name, int version, Func<byte[], byte[]> damage, string says, Action<BasicProperties>? change = null)
        {
            var (properties, body) = Wrap(request, version, change);
            return (name, properties, damage(body), says);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_record_with_fields_of_a_later_release_is_read(int version)
    {
        var request = TestRequests.New(_model);
        byte[] later = [.. RequestCodec.ToRecord(request).ToByteArray(), 0xFA, 0x3E, 3, (byte)'n', (byte)'e', (byte)'w', 0xC0, 0x3E, 1]; // field 1007, bytes; field 1000, varint
        var (properties, body) = Wrap(request, version);
        if (version == 1) properties.Headers![Envelope.RecordHeader] = later;
        else body = [(byte)(later.Length & 0x7F | 0x80), (byte)(later.Length >> 7), .. later, .. request.Body.Span];
        await _raw.PublishAsync(Durable, properties, body, Token);

        (await TakeAsync()).Request.Id.ShouldBe(request.Id);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Both_envelopes_are_read(int version)
    {
        var request = TestRequests.New(_model) with { Shape = new byte[] { 1, 2, 3 }, Conversation = "talk" };
        var (properties, body) = Wrap(request, version);
        await _raw.PublishAsync(Transient, properties, body, Token);

        var read = (await TakeAsync()).Request;

        System.Text.Json.JsonSerializer.Serialize(read).ShouldBe(System.Text.Json.JsonSerializer.Serialize(request));
    }

    [Fact]
    public async Task A_message_of_a_later_release_waits_for_it_and_is_no_dead_letter()
    {
        var (later, next) = (TestRequests.New(_model), TestRequests.New(_model));
        var (properties, body) = Wrap(later, 2, properties => properties.Headers![Envelope.VersionHeader] = 3);
        await _raw.PublishAsync(Durable, properties, body, Token);
        (await _client.Queue.EnqueueAsync(next with { Promise = Promise.Id }, Token)).Fault.ShouldBeNull();

        await using (var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token))
        {
            (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            deliveries.Current.Request.Id.ShouldBe(next.Id); // it is not in the way of others
            await deliveries.Current.CompleteAsync(Token);
            await _client.Log.WaitForAsync("is not understood here");
        }

        (await _client.Letters.ListAsync(10, Token)).ShouldBeEmpty();
        (await _raw.PeekAsync(Durable, Token)).ShouldNotBeNull().BasicProperties.MessageId.ShouldBe(later.Id.Value); // back for whoever dispatches next
    }

    [Fact]
    public async Task A_record_of_an_earlier_release_without_the_newest_field_is_read()
    {
        var request = TestRequests.New(_model) with { Holder = "" }; // the holder came last, and an empty one is not written
        var (properties, body) = Wrap(request, 1);
        await _raw.PublishAsync(Transient, properties, body, Token);

        (await TakeAsync()).Request.Holder.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_record_larger_than_a_frame_goes_through_and_the_connection_stays()
    {
        // What `echo` of 128 prompts of 1.1 KB keeps beside the body. In a header it closed the connection, of all models, again and again (F1).
        var request = TestRequests.New(_model) with { Shape = new byte[140_000] };
        await using var client = new RabbitMqClient(_server);
        var session = await client.Link.SessionAsync(Token);

        foreach (var promise in new[] { Promise.Connection, Promise.Id }) (await client.Queue.EnqueueAsync(request with { Promise = promise }, Token)).Fault.ShouldBeNull();

        await using var deliveries = client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        for (var taken = 0; taken < 2; taken++)
        {
            (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            deliveries.Current.Request.Shape.Length.ShouldBe(140_000);
            await deliveries.Current.DeadLetterAsync(new ServingFault(ServingError.Poisoned, new string('é', 100_000)), 3, Token); // its reason is cut, not sent as it is
        }

        var letter = (await client.Letters.ListAsync(10, Token))[0];
        (await client.Letters.GetAsync(letter.Id, Token))!.Request.ShouldNotBeNull().Shape.Length.ShouldBe(140_000);
        letter.Reason.Message.Length.ShouldBeInRange(500, 512);
        session.Ended.IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task What_no_envelope_holds_is_refused_and_the_connection_stays()
    {
        var session = await _client.Link.SessionAsync(Token);

        var record = (await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Shape = new byte[Envelope.MaxRecordBytes] }, Token)).Fault.ShouldNotBeNull();
        var body = (await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Body = Encoding.UTF8.GetBytes($"\"{new string('x', 5000)}\"") }, Token)).Fault.ShouldNotBeNull();
        var id = (await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Id = new RequestId(new string('x', 300)) }, Token)).Fault.ShouldNotBeNull();

        (record.Error, body.Error, id.Error).ShouldBe((ServingError.BodyTooLarge, ServingError.BodyTooLarge, ServingError.InvalidRequest));
        session.Ended.IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task A_gateway_of_a_roll_out_writes_what_the_release_before_reads()
    {
        await using var client = new RabbitMqClient(_server, _client.Prefix, settings: new Dictionary<string, string?> { ["RabbitMq:EnvelopeVersion"] = "1" });
        var request = TestRequests.New(_model);
        (await client.Queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();

        var message = (await _raw.PeekAsync(Transient, Token)).ShouldNotBeNull();

        message.Body.ToArray().ShouldBe(request.Body.ToArray());
        message.BasicProperties.Headers![Envelope.VersionHeader].ShouldBe(1);
        message.BasicProperties.Headers.ShouldContainKey(Envelope.RecordHeader);
        (await client.Queue.EnqueueAsync(request with { Shape = new byte[Envelope.MaxHeaderRecordBytes] }, Token)).Fault.ShouldNotBeNull().Error.ShouldBe(ServingError.BodyTooLarge);
    }

    [Fact]
    public async Task A_dead_letter_is_shown_redriven_under_a_new_id_and_removed()
    {
        var request = TestRequests.New(_model);
        (await _client.Queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        await deliveries.Current.DeadLetterAsync(new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, Token);

        var letter = (await _client.Letters.GetAsync(request.Id.Value, Token)).ShouldNotBeNull();
        (letter.Reason.Error, letter.Reason.Message, letter.Attempts).ShouldBe((ServingError.Poisoned, "Three attempts were lost.", 3));
        letter.Request.ShouldNotBeNull().Seed.ShouldBe(request.Seed);

        var log = new MemoryRequestLog(TimeProvider.System);
        var id = await new Redrive(_client.Letters, _client.Queue, log, TimeProvider.System).SendAsync(request.Id.Value, Token);

        (await _client.Letters.ListAsync(10, Token)).ShouldBeEmpty();
        (await _client.Letters.RemoveAsync(request.Id.Value, Token)).ShouldBeFalse();
        (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        var again = deliveries.Current.Request;
        (again.Id, again.Promise).ShouldBe((id, Promise.Id));
    }

    [Fact]
    public async Task What_a_connection_promised_is_not_on_disk_and_goes_with_its_deadline()
    {
        var now = TimeProvider.System.GetUtcNow();
        (await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Deadline = now.AddSeconds(-1) }, Token)).Fault.ShouldBeNull();
        var lives = TestRequests.New(_model) with { Deadline = now.AddMinutes(10) };
        (await _client.Queue.EnqueueAsync(lives, Token)).Fault.ShouldBeNull();
        (await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Promise = Promise.Id, Deadline = now.AddMinutes(10) }, Token)).Fault.ShouldBeNull();

        var transient = (await _raw.PeekAsync(Transient, Token)).ShouldNotBeNull();
        transient.BasicProperties.MessageId.ShouldBe(lives.Id.Value); // the one before it has expired
        transient.BasicProperties.Persistent.ShouldBeFalse();
        int.Parse(transient.BasicProperties.Expiration!, System.Globalization.CultureInfo.InvariantCulture).ShouldBeInRange(500_000, 600_000);
        var durable = (await _raw.PeekAsync(Durable, Token)).ShouldNotBeNull();
        durable.BasicProperties.Persistent.ShouldBeTrue();
        durable.BasicProperties.IsExpirationPresent().ShouldBeFalse();
    }

    private static (BasicProperties Properties, byte[] Body) Wrap(InferenceRequest request, int version, Action<BasicProperties>? change = null)
    {
        using var message = Envelope.Wrap(request, version, int.MaxValue, TimeProvider.System.GetUtcNow(), out _)!;
        change?.Invoke(message.Properties);
        return (message.Properties, message.Body.ToArray());
    }

    private async Task<IRequestDelivery> TakeAsync()
    {
        var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        return deliveries.Current; // its consumer stays open until the client goes
    }
}
