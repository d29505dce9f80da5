using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Messaging;
using Serverless.Hosting.MassTransit;
using Serverless.Requests;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts the face for messages into a gateway's host.</summary>
public static class MessagingServices
{
    /// <summary>Inference by messages (MassTransit), where <c>MassTransit:Enabled</c> is on; after the gateway: those who asked are told once the result is kept.</summary>
    /// <param name="services">The host's.</param>
    /// <param name="configuration">The host's.</param>
    /// <param name="transport">What carries them where the options do not say.</param>
    public static IServiceCollection AddMessages(this IServiceCollection services, IConfiguration configuration, string transport)
    {
        if (!services.TryAddMassTransitMessages(configuration, transport)) return services;

        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<MassTransitOptions>, RoomValidator>());
        services.TryAddSingleton<MessageRecords>();
        services.TryAddSingleton<MessageReplies>();
        services.TryAddSingleton<DeltaStreams>();
        services.TryAddSingleton<IInferenceMessages, InferenceMessages>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEndObserver, ReplyObserver>());
        return services;
    }

    /// <summary>What the broker hands over at once fits the gateway's budget of bytes.</summary>
    private sealed class RoomValidator(IOptions<AdmissionOptions> admission) : IValidateOptions<MassTransitOptions>
    {
        public ValidateOptionsResult Validate(string? name, MassTransitOptions options)
        {
            var most = admission.Value.MaxTotalBytes / 4 / admission.Value.MaxBodyBytes;
            if (options.Prefetch <= most) return ValidateOptionsResult.Success;

            const string Total = $"{AdmissionOptions.Section}:{nameof(AdmissionOptions.MaxTotalBytes)}";
            return ValidateOptionsResult.Fail(
                $"{MassTransitOptions.Section}:{nameof(options.Prefetch)} is {options.Prefetch}; so many bodies of {admission.Value.MaxBodyBytes} bytes ({AdmissionOptions.Section}:{nameof(AdmissionOptions.MaxBodyBytes)}) must fit a quarter of {Total}, {admission.Value.MaxTotalBytes}: at most {most}. Lower it (and {nameof(options.Concurrency)} with it), or raise {Total}.");
        }
    }
}
