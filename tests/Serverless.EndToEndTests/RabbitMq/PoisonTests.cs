using System.Text;
using Google.Protobuf;
using RabbitMQ.Client;
using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Queues;
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
            ("not-json", Wrap(request), "{\"a\":"u8.ToArray(), "not JSON"),
            ("empty", Wrap(request), [], "not JSON"),
            ("no-headers", new BasicProperties(), request.Body.ToArray(), Envelope.VersionHeader),
            ("no-version", Wrap(request, properties => properties.Headers!.Remove(Envelope.VersionHeader)), request.Body.ToArray(), Envelope.VersionHeader),
            ("next-version", Wrap(request, properties => properties.Headers![Envelope.VersionHeader] = 2), request.Body.ToArray(), "'2' and this release reads 1"),
            ("text-version", Wrap(request, properties => properties.Headers![Envelope.VersionHeader] = "x"), request.Body.ToArray(), "'x'"),
            ("no-record", Wrap(request, properties => properties.Headers!.Remove(Envelope.RecordHeader)), request.Body.ToArray(), Envelope.RecordHeader),
            ("bad-record", Wrap(request, properties => properties.Headers![Envelope.RecordHeader] = new byte[] { 0xFF, 0xFF }), request.Body.ToArray(), Envelope.RecordHeader),
            ("empty-record", Wrap(request, properties => properties.Headers![Envelope.RecordHeader] = Array.Empty<byte>()), request.Body.ToArray(), "'id'"),
            ("too-long", Wrap(request), Encoding.UTF8.GetBytes($"\"{new string('x', 5000)}\""), "MaxMessageBytes"),
        ];
        foreach (var queue in new[] { Transient, Durable })
        {
            foreach (var (name, properties, body, _) in poison)
            {
                properties.MessageId = $"{name}-{queue}";
                await _raw.PublishAsync(queue, properties, body, Token);
            }
        }

        foreach (var promise in new[] { Promise.Connection, Promise.Id }) await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Promise = promise }, Token);
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).GetAsyncEnumerator(Token);
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
                letter.Body.ToArray().ShouldBe(body, name);
                letter.Attempts.ShouldBe(0);
            }
        }

        (await _client.Queue.DepthAsync(_model, Token)).Requests.ShouldBe(0);
    }

    [Fact]
    public async Task A_record_with_fields_of_a_later_release_is_read()
    {
        var request = TestRequests.New(_model);
        var record = RequestCodec.ToRecord(request).ToByteArray();
        byte[] later = [.. record, 0xFA, 0x3E, 3, (byte)'n', (byte)'e', (byte)'w', 0xC0, 0x3E, 1]; // field 1007, bytes; field 1000, varint
        await _raw.PublishAsync(Durable, Wrap(request, properties => properties.Headers![Envelope.RecordHeader] = later), request.Body, Token);

        (await TakeAsync()).Request.Id.ShouldBe(request.Id);
    }

    [Fact]
    public async Task A_record_of_an_earlier_release_without_the_newest_field_is_read()
    {
        var request = TestRequests.New(_model) with { Holder = "" }; // the holder came last, and an empty one is not written
        await _raw.PublishAsync(Transient, Wrap(request), request.Body, Token);

        (await TakeAsync()).Request.Holder.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_dead_letter_is_shown_redriven_under_a_new_id_and_removed()
    {
        var request = TestRequests.New(_model);
        await _client.Queue.EnqueueAsync(request, Token);
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).GetAsyncEnumerator(Token);
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
        await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Deadline = now.AddSeconds(-1) }, Token);
        var lives = TestRequests.New(_model) with { Deadline = now.AddMinutes(10) };
        await _client.Queue.EnqueueAsync(lives, Token);
        await _client.Queue.EnqueueAsync(TestRequests.New(_model) with { Promise = Promise.Id, Deadline = now.AddMinutes(10) }, Token);

        var transient = (await _raw.PeekAsync(Transient, Token)).ShouldNotBeNull();
        transient.BasicProperties.MessageId.ShouldBe(lives.Id.Value); // the one before it has expired
        transient.BasicProperties.Persistent.ShouldBeFalse();
        int.Parse(transient.BasicProperties.Expiration!, System.Globalization.CultureInfo.InvariantCulture).ShouldBeInRange(500_000, 600_000);
        var durable = (await _raw.PeekAsync(Durable, Token)).ShouldNotBeNull();
        durable.BasicProperties.Persistent.ShouldBeTrue();
        durable.BasicProperties.IsExpirationPresent().ShouldBeFalse();
    }

    private static BasicProperties Wrap(InferenceRequest request, Action<BasicProperties>? change = null)
    {
        var properties = Envelope.Wrap(request, TimeProvider.System.GetUtcNow());
        change?.Invoke(properties);
        return properties;
    }

    private async Task<IRequestDelivery> TakeAsync()
    {
        var deliveries = _client.Queue.ConsumeAsync(_model, Token).GetAsyncEnumerator(Token);
        (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        return deliveries.Current; // its consumer stays open until the client goes
    }
}
