using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Requests;

/// <summary>How this gateway holds the requests of its connections.</summary>
public sealed partial class HoldingOptions
{
    public const string Section = "Gateway:Holding";

    /// <summary>How long a request waits for a request log that cannot be reached, before it is refused with 503. Default: 5 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan OpenPatience { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>A request that no dispatcher accepted in this time is submitted again, then after twice as long, and so on to a minute. Default: 5 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:10:00")]
    public TimeSpan AcceptTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>An accepted request of which nothing is heard for so long is submitted again, then after twice as long, and so on to a minute: a duplicate costs a message, not work. Default: 15 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:10:00")]
    public TimeSpan Silence { get; set; } = TimeSpan.FromSeconds(15);

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<HoldingOptions>;
}
