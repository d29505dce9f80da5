using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.Options;

namespace Serverless.Gateway.Access;

/// <summary>Who may come in. Without keys a gateway serves its own machine alone.</summary>
public sealed partial class AccessOptions
{
    public const string Section = "Gateway:Access";

    /// <summary>Whether a gateway without keys serves callers of other machines too: everyone who reaches it uses it as one owner. Operators' routes stay closed to them. Default: no.</summary>
    public bool AllowAnonymous { get; set; }

    /// <summary>An address of its own for operators' routes and metrics, which then ask for no key there, such as <c>http://127.0.0.1:9000</c>: bind it where only operators reach it. The whole address counts, not its port alone. Default: none.</summary>
    public Uri? AdminUrl { get; set; }

    /// <summary>Origins whose pages may call the API from a browser (CORS), such as <c>https://chat.example</c>; <c>*</c> is every page, and needs keys. Operators' routes and metrics are for no page. Default: none.</summary>
    public IList<string>? AllowedOrigins { get; set; }

    /// <summary>Requests that one key may have open at a time, streams that it follows by an id among them; more are refused with 429. 0: no bound. Default: 0.</summary>
    [Range(0, 1_000_000)]
    public int MaxOpenRequestsPerKey { get; set; }

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<AccessOptions>;

    internal sealed class UrlValidator : IValidateOptions<AccessOptions>
    {
        public ValidateOptionsResult Validate(string? name, AccessOptions options)
        {
            List<string> faults = [];
            if (options.AdminUrl is { } admin && !(admin is { IsAbsoluteUri: true, Scheme: "http", Port: > 0 } && IPAddress.TryParse(admin.DnsSafeHost, out _)))
                faults.Add($"{Section}:{nameof(AdminUrl)} is '{admin}'; give an http address with an IP address and a port, such as http://127.0.0.1:9000.");
            faults.AddRange((options.AllowedOrigins ?? []).Select((origin, index) => (origin, index)).Where(each => !IsOrigin(each.origin))
                .Select(each => $"{Section}:{nameof(AllowedOrigins)}:{each.index} is '{each.origin}'; give a page's origin without a path, such as https://chat.example or http://localhost:3000, or *."));
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }

        private static bool IsOrigin(string origin) =>
            origin == "*" || (Uri.TryCreate(origin, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.GetLeftPart(UriPartial.Authority).Equals(origin, StringComparison.OrdinalIgnoreCase));
    }
}
