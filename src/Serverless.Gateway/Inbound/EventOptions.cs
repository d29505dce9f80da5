using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Inbound;

/// <summary>Requests that come as events: whose they are. Services on the bus are trusted as one tenant.</summary>
public sealed partial class EventOptions
{
    public const string Section = "Gateway:Events";

    /// <summary>Organization of all requests that come as events. Default: <c>local</c>.</summary>
    [Required, RegularExpression("[A-Za-z0-9._-]{1,64}")]
    public string Organization { get; set; } = "local";

    /// <summary>Team of them: keys of this team see them. Default: <c>local</c>.</summary>
    [Required, RegularExpression("[A-Za-z0-9._-]{1,64}")]
    public string Team { get; set; } = "local";

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<EventOptions>;
}
