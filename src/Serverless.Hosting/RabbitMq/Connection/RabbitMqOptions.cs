using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>Where the broker is and how the request queue uses it.</summary>
public sealed partial class RabbitMqOptions
{
    public const string Section = "RabbitMq";

    /// <summary>The broker: <c>amqp://user:password@host:5672/vhost</c>, <c>amqps://</c> for TLS. Default: a local one with its guest.</summary>
    [Required]
    public Uri Url { get; set; } = new("amqp://guest:guest@127.0.0.1:5672/");

    /// <summary>The broker's management API, with user and password in it: what policies do to our queues is then checked at start. Default: none, and a warning says what was not checked.</summary>
    public Uri? ManagementUrl { get; set; }

    /// <summary>What the names of our queues begin with: two installations on one broker need two. Default: serverless.</summary>
    [RegularExpression("^[a-zA-Z0-9_.-]{1,64}$", ErrorMessage = "RabbitMq:Prefix takes 1 to 64 letters, digits, dots, dashes and underscores.")]
    public string Prefix { get; set; } = "serverless";

    /// <summary>Whether this process declares the queues it uses. Off: an operator does (<c>serverless topology --declare</c>), and this process needs no right to configure. Default: on.</summary>
    public bool Declare { get; set; } = true;

    /// <summary>How long an enqueue waits for the broker, reconnecting included, before it is refused as unavailable. Raising it costs clients that wait instead of trying elsewhere. Default: 5 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan PublishTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Silence of the broker after which the connection is given up (found within two of them). Lowering it costs connections that are lost to a pause. Default: 5 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:02:00")]
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest a request may stay unanswered at its consumer, queued and running: the broker's consumer timeout must be longer. Default: 25 hours.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "7.00:00:00")]
    public TimeSpan LongestWait { get; set; } = TimeSpan.FromHours(25);

    /// <summary>Whether the operator has seen to the broker's <c>consumer_timeout</c> where no client can (RabbitMQ before 3.12): silences the warning. Default: off.</summary>
    public bool ConsumerTimeoutIsSet { get; set; }

    /// <summary>A longer message (its record and the client's JSON) is refused when it is enqueued, and dead-lettered if it comes from elsewhere; it should be what the gateway takes in, at least. Default: 16 MiB.</summary>
    [Range(1024, 512 * 1024 * 1024)]
    public int MaxMessageBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>
    /// Bytes of requests that the consumers of this process hold unanswered, of all models together: while there are more, no model is handed more than the broker has promised it already (16
    /// requests at least). Raising it costs memory; lowering it costs fairness, for what is not held here is not in the fair order. Default: 1 GiB.
    /// </summary>
    [Range(1024L * 1024, 1L << 40)]
    public long MaxOutstandingBytes { get; set; } = 1L << 30;

    /// <summary>The envelope that requests are published in: 2; 1 for as long as gateways of the release before dispatch, which read 1 alone. Both are read. Default: 2.</summary>
    [Range(1, 2)]
    public int EnvelopeVersion { get; set; } = 2;

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<RabbitMqOptions>;
}
