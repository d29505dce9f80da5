using System.Globalization;
using Microsoft.AspNetCore.Http;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Promises;

namespace Serverless.Gateway.Flow;

/// <summary>202: the answer comes by an id. Says where, and what was preferred.</summary>
internal static class PromisedAnswer
{
    private const double LongestRetryAfter = 60;

    public static Task SendAsync(FlowState state, CancellationToken cancellationToken)
    {
        var record = RequestRecord.Of(state.Id, state.Head!, state.Shape!) with { Status = state.Begun ? RequestStatus.InProgress : RequestStatus.Queued };
        var response = state.Http.Response;
        response.StatusCode = StatusCodes.Status202Accepted;
        response.Headers.Location = "/v1/requests/" + state.Id.Value;
        if (state.Preferences.RespondAsync) response.Headers["Preference-Applied"] = state.Preferences.RespondAsyncApplied;
        if (state.Wait.Expected is { } wait) response.Headers.RetryAfter = Math.Clamp(Math.Ceiling(wait.TotalSeconds), 1, LongestRetryAfter).ToString(CultureInfo.InvariantCulture);
        return JsonAnswer.SendAsync(state.Http, RequestObject.Encode(record), cancellationToken);
    }
}
