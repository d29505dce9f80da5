using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The one way in which options are registered: bound to their section, and checked when the host starts, all faults at once.</summary>
public static class CheckedOptions
{
    /// <summary>Registers <typeparamref name="TOptions"/>; <typeparamref name="TValidator"/> is its <c>[OptionsValidator]</c> class, or any other. Calling it again changes nothing.</summary>
    public static OptionsBuilder<TOptions> AddCheckedOptions<TOptions, TValidator>(this IServiceCollection services, string section)
        where TOptions : class
        where TValidator : class, IValidateOptions<TOptions>
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<TOptions>, TValidator>());
        return services.AddOptionsWithValidateOnStart<TOptions>().BindConfiguration(section);
    }

    /// <summary>The same with a second validator, of what annotations cannot say.</summary>
    public static OptionsBuilder<TOptions> AddCheckedOptions<TOptions, TValidator, TValueValidator>(this IServiceCollection services, string section)
        where TOptions : class
        where TValidator : class, IValidateOptions<TOptions>
        where TValueValidator : class, IValidateOptions<TOptions>
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<TOptions>, TValueValidator>());
        return services.AddCheckedOptions<TOptions, TValidator>(section);
    }
}
