using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Requests;

/// <summary>How answers are followed and sent.</summary>
public sealed partial class StreamingOptions
{
    public const string Section = "Gateway:Streaming";

    /// <summary>
    /// After this long without output a stream's headers and first comment are sent. Until then a failure still has its own HTTP status, which clients retry;
    /// above a second, clients may take the server for dead. Default: 250 ms.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:00:10")]
    public TimeSpan FirstNotice { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How often a waiting stream looks for something new to say. Default: 1 second.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:01:00")]
    public TimeSpan NoticeInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>A stream is never silent for longer, whether or not something is new: proxies and clients close silent connections. Default: 5 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:01:00")]
    public TimeSpan MaxSilence { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long running answers may go on after the host was told to stop. Raising it delays a roll-out by as much. Default: 20 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(20);

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<StreamingOptions>;
}
