using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Serverless.Errors;

namespace Serverless.Gateway.OpenAI;

/// <summary>What routes that only read have in common.</summary>
internal static class ListQuery
{
    /// <summary>Methods of what is only read.</summary>
    public static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head];

    /// <summary>How many of a list are wanted.</summary>
    /// <exception cref="ServingException">It is no number within the bounds.</exception>
    public static int ReadLimit(StringValues text, int byDefault, int most)
    {
        if (text.Count == 0) return byDefault;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit >= 1 && limit <= most) return limit;
        throw new ServingException(new ServingFault(ServingError.InvalidRequest, string.Create(CultureInfo.InvariantCulture, $"'limit' must be an integer from 1 to {most}; leave it out for {byDefault}."), "limit"));
    }
}
